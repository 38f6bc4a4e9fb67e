// The stage of the attack: a key of each algorithm and one that was retired, somebody who is logged in, and the means to
// sign whatever one likes with our own keys, so that the guards and not the signature have to refuse.
import { once } from 'node:events';
import { createPrivateKey, randomUUID, sign as signBytes, type KeyObject } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';

import type { Config } from '../../../src/config/config.js';
import { rotateKeys } from '../../../src/domain/keys/lifecycle.js';
import { retireKey } from '../../../src/domain/keys/retirement.js';
import { loadKeys, type JwtAlgorithm, type StoredKey } from '../../../src/domain/keys/keys.js';
import type { ClaimsOf } from '../../../src/domain/tokens/reader.js';
import { unseal } from '../../../src/domain/keys/sealing.js';
import {
  claimsOf,
  login,
  openHouse,
  SECRET,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
} from '../../support/house.js';

/** The clock's first second. Later than any real clock that made a key. */
const START = 1_900_000_000;

/** Age at which an access token of 600 s is alive and has a successor: whoever is believed gets one, too. */
const NEAR_END_SECONDS = 540;

/** How long a next key waits until it signs. */
const ROTATION_SECONDS = 600;

export type Kind = keyof ClaimsOf;

export const TYPES = { access: 'at+jwt', refresh: 'rt+jwt' } as const satisfies Record<Kind, string>;

export interface OurKey {
  kid: string;
  algorithm: JwtAlgorithm;
  /** SPKI, PEM. */
  publicKey: string;
  privateKey: KeyObject;
}

/** A kind of token, of the one who is logged in, under one of our keys. */
export interface Subject {
  label: string;
  kind: Kind;
  key: OurKey;
  header: { alg: string; typ: string; kid: string };
  claims: Record<string, unknown>;
  /** Alive: our own text, but for the key that may be another than the one that signs now. */
  genuine: string;
  /** Signs any header and payload with the key. */
  forge: (header: string | Uint8Array, payload: string | Uint8Array) => string;
}

export interface Stage {
  house: House;
  replica: Replica;
  client: TestClient;
  user: TestUser;
  /** Living: EdDSA, ES256, RS256. */
  keys: OurKey[];
  retired: OurKey;
  /** Both kinds under each key. */
  subjects: Subject[];
  /** The same of a session that a backend has opened, under one key. */
  foreign: Subject[];
  /** Where `jku` and `x5u` point to. */
  bait: Bait;
  now: number;
  close: () => Promise<void>;
}

interface Bait {
  url: string;
  connections: () => number;
  close: () => Promise<void>;
}

export async function openStage(config: Partial<Config> = {}): Promise<Stage> {
  const house = await openHouse();
  const replica = await house.replica({ config });
  const { database } = replica;
  await house.database.clock.freeze(START);
  const [leaked] = await openKeys(replica);
  if (leaked === undefined) throw new Error('there is no key');
  await retireKey(database, leaked.kid, 'EdDSA', SECRET);
  for (const algorithm of ['ES256', 'RS256'] as const) {
    await rotateKeys(database, algorithm, SECRET);
    await house.database.clock.advance(ROTATION_SECONDS);
  }
  const keys = await openKeys(replica);
  const user = await house.user({ scope: 'read write' });
  const subjects = await logIn({ replica, keys }, user);
  const foreign = await openForeign({ house, replica, keys });
  await house.database.clock.advance(NEAR_END_SECONDS);
  const bait = await layBait();
  return {
    house,
    replica,
    client: await house.client(),
    user,
    keys,
    retired: leaked,
    subjects,
    foreign,
    bait,
    now: START + 2 * ROTATION_SECONDS + NEAR_END_SECONDS,
    close: async () => {
      await bait.close();
      await house.close();
    },
  };
}

/** A new session's tokens, each kind under each key. */
export async function logIn(
  { replica, keys }: Pick<Stage, 'replica' | 'keys'>,
  user: TestUser,
): Promise<Subject[]> {
  const pair = await login(replica, user);
  return keys.flatMap((key) =>
    (['access', 'refresh'] as const).map((kind) => {
      const claims = { ...claimsOf(kind === 'access' ? pair.access_token : pair.refresh_token) };
      return subjectOf(kind, key, claims);
    }),
  );
}

/** Tokens of a session that a backend has opened, with all that it can say. */
export async function openForeign({
  house,
  replica,
  keys,
}: Pick<Stage, 'house' | 'replica' | 'keys'>): Promise<Subject[]> {
  const client = { ...(await house.client(['sessions:open'])), permissions: [], audiences: [] };
  const pair = await replica.gatehouse.backends.openSession(client, {
    externalId: `customer-${randomUUID()}`,
    claims: {
      username: 'Ünal Ö.',
      scope: 'read',
      ext: { plan: 'gold', limits: { day: 3 } },
      amr: ['pwd', 'otp'],
      acr: 'silver',
      act: { sub: 'support' },
    },
    refreshes: true,
    ip: null,
    userAgent: null,
  });
  const [key] = keys;
  if (key === undefined || !('refreshToken' in pair)) throw new Error('there is no key, or no refresh token');
  return [
    subjectOf('access', key, { ...claimsOf(pair.accessToken) }),
    subjectOf('refresh', key, { ...claimsOf(pair.refreshToken) }),
  ];
}

export function subjectOf(kind: Kind, key: OurKey, claims: Record<string, unknown>): Subject {
  const header = { alg: key.algorithm, typ: TYPES[kind], kid: key.kid };
  const forge: Subject['forge'] = (head, payload) => sign(key, `${encode(head)}.${encode(payload)}`);
  return {
    label: `${kind} by ${key.algorithm}`,
    kind,
    key,
    header,
    claims,
    genuine: forge(JSON.stringify(header), JSON.stringify(claims)),
    forge,
  };
}

/** Signs the text as its algorithm wants it, and appends the signature. */
export function sign({ algorithm, privateKey }: OurKey, input: string): string {
  const digest = algorithm === 'EdDSA' ? null : 'sha256';
  const signature = signBytes(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${encode(signature)}`;
}

export function encode(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

export function split(token: string): [header: string, payload: string, signature: string] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return [header, payload, signature];
}

/** What an attacker could have changed: every row that says who may do what, as one text. */
export async function stateOf({ house }: Stage): Promise<string> {
  const { rows } = await house.database.admin.query<{ state: string }>(
    `SELECT concat_ws(' ',
       (SELECT count(*) FROM revocations), (SELECT count(*) FROM sessions),
       (SELECT count(*) FROM sessions WHERE ended_at IS NULL),
       (SELECT md5(string_agg(t::text, E'\n' ORDER BY id)) FROM sessions t),
       (SELECT md5(string_agg(t::text, E'\n' ORDER BY id)) FROM users t),
       (SELECT md5(string_agg(t::text, E'\n' ORDER BY kid)) FROM signing_keys t),
       (SELECT t::text FROM service t)) AS state`,
  );
  return rows[0]?.state ?? '';
}

async function openKeys({ database }: Replica): Promise<OurKey[]> {
  const { keys } = await loadKeys(database);
  return keys.filter(({ retiredAt }) => retiredAt === null).map(openKey);
}

function openKey({ kid, algorithm, publicKey, encryptedPrivateKey }: StoredKey): OurKey {
  const pem = unseal(encryptedPrivateKey, [SECRET], kid);
  if (pem === null) throw new Error('the key does not open');
  return { kid, algorithm, publicKey, privateKey: createPrivateKey(pem) };
}

async function layBait(): Promise<Bait> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    connections: () => connections,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
