/** A user gives the password once more (RFC 9470): the session stays, and gets access tokens that say so. */
import type { Database } from '../../database/prisma.js';
import { AuthError, Reason } from '../errors.js';
import { refundUnlessWrong, type Throttle } from '../guessing/throttle.js';
import { networkOf } from '../networks.js';
import type { Pairs, SingleToken } from '../sessions/pairs.js';
import {
  OPENED_COLUMNS,
  OPENED_SESSION,
  toOpened,
  type Device,
  type Opened,
  type SessionRules,
} from '../sessions/sessions.js';
import { STANDS_WITH_TOKEN } from '../sessions/standing.js';
import { accountOf } from '../tokens/subjects.js';
import type { AccessToken } from '../tokens/reader.js';
import type { PasswordHasher } from './hasher.js';
import { provePassword } from './proof.js';
import { askingOf, findAsking, type Asking } from './replacement.js';

/** The hash would have to be replaced this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 3;

/** The verb by which a user proves again who they are; the facade says what it promises. */
export function createReauthentication(parts: {
  database: Database;
  hasher: PasswordHasher;
  throttle: Throttle;
  pairs: Pairs;
  rules: SessionRules;
}) {
  const { database, hasher, throttle, pairs, rules } = parts;

  async function prove(asked: Asking, password: string): Promise<Opened> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const asking = await findAsking(database, asked, rules);
      if (asking === null || asking.isReplaced) throw new AuthError('invalid_token');
      const verified = await provePassword(hasher, asking.passwordHash, password, 'The password is wrong.');
      const found = await findProved(database, asked, verified);
      if (found !== null) return found;
      // The session has ended, or a login has hashed the same password anew: the rows tell.
    }
    throw new AuthError('temporarily_unavailable', { cause: new Reason('the password keeps changing') });
  }

  return async (token: AccessToken, password: string, device: Device): Promise<SingleToken> => {
    await pairs.assertSigns();
    return await hasher.admit(networkOf(device.ip), async () => {
      const attempt = await throttle.takeAttempt(accountOf(token.claims), device.ip);
      const found = await refundUnlessWrong(attempt, () => prove(askingOf(token), password));
      // It is proved: what cannot be written down now must not deny it.
      await attempt.succeed().catch(() => undefined);
      return await pairs.signSingle(found, Math.floor(found.session.now));
    });
  };
}

/** The session of the token that asks; null when it has ended, or the hash of its user's password is another one by now. */
async function findProved(
  database: Database,
  { userId, sid, lineage, ver }: Asking,
  verified: string,
): Promise<Opened | null> {
  // Settles a proof against an end of the session, and against a new password, on the session's row, which both write: where they
  // were first, nothing is found. It changes nothing, but writes, so that its commit waits for all that must confirm the password
  // which was compared.
  const [row] = await database.query(OPENED_COLUMNS)`
    WITH asked AS MATERIALIZED (
      SELECT date_trunc('milliseconds', clock_timestamp()) AS now, ${lineage}::uuid AS lineage,
             ${ver}::int8 AS ver
    ), opened AS (
      UPDATE sessions SET generation = generation
      FROM asked, users, service
      WHERE sessions.id = ${sid}::uuid AND users.id = ${userId}::uuid AND users.password_hash = ${verified}
        AND sessions.expires_at > asked.now AND ${STANDS_WITH_TOKEN}
      RETURNING sessions.*
    )
    SELECT ${OPENED_SESSION} FROM opened JOIN users ON users.id = opened.user_id, asked AS clock, service`;
  return row === undefined ? null : toOpened(row);
}
