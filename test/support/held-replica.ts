// A replica whose logins stop, when told to, after the password was found right and before the session is opened.
import pino from 'pino';

import { buildApp } from '../../src/app.js';
import { openDatabase } from '../../src/database/prisma.js';
import { createGatehouse } from '../../src/domain/gatehouse.js';
import type { PasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { AMPLE_MS, DEFAULTS, SECRET, type House, type Replica } from './house.js';

export interface HeldReplica extends Replica {
  /** Holds the next login: `reached` when its password was verified, on its way again after `release`. */
  hold: () => { reached: Promise<void>; release: () => void };
  close: () => Promise<void>;
}

export async function openHeldReplica(house: House): Promise<HeldReplica> {
  const database = openDatabase(house.database.url, { deadlineMs: AMPLE_MS });
  const held = holdVerify(house.hasher);
  const gatehouse = await createGatehouse({
    database,
    hasher: held.hasher,
    createCodec: createTokenCodec,
    rules: DEFAULTS,
    jwtAlgorithm: 'EdDSA',
    secrets: [SECRET],
  });
  const app = await buildApp({
    gatehouse,
    config: DEFAULTS,
    logger: pino({ level: 'silent' }),
    answerDeadlineMs: AMPLE_MS,
  });
  await app.ready();
  return {
    app,
    gatehouse,
    database,
    hold: held.hold,
    close: async () => {
      await app.close();
      await database.close();
    },
  };
}

function holdVerify(hasher: PasswordHasher): { hasher: PasswordHasher; hold: HeldReplica['hold'] } {
  let pass = () => Promise.resolve();
  return {
    hasher: {
      ...hasher,
      verify: async (phc, password) => {
        const isRight = await hasher.verify(phc, password);
        await pass();
        return isRight;
      },
    },
    hold: () => {
      let arrive: () => void = () => undefined;
      let release: () => void = () => undefined;
      const reached = new Promise<void>((resolve) => (arrive = resolve));
      const released = new Promise<void>((resolve) => (release = resolve));
      pass = () => {
        arrive();
        return released;
      };
      return { reached, release };
    },
  };
}

/** Points are taken as ever, and refunding the only one of a row fails as if the database were away; ends with the function `keep`. */
export async function keepAttempts({ house }: { house: House }): Promise<void> {
  await house.database.admin.query(
    `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END $$;
     CREATE TRIGGER keep BEFORE DELETE ON login_attempts FOR EACH ROW EXECUTE FUNCTION keep()`,
  );
}
