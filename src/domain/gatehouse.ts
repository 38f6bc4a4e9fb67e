/** The domain, put together: what one replica is made of, from a database and the rules. */
import type { Database } from '../database/prisma.js';
import { loadClients } from './clients.js';
import { createFirstKey } from './keys/lifecycle.js';
import { type JwtAlgorithm } from './keys/keys.js';
import { createLiveness, type Liveness } from './liveness/liveness.js';
import { createLogins, type Logins } from './sessions/logins.js';
import { createMemory } from './liveness/replica-state.js';
import { createPasswordChanges, type PasswordChanges } from './passwords/change.js';
import type { PasswordHasher } from './passwords/hasher.js';
import { loadRing, type CreateTokenCodec } from './keys/ring.js';
import type { SessionRules } from './sessions/sessions.js';
import { createThrottle } from './guessing/throttle.js';
import type { TokenRules } from './tokens/claims.js';

export interface Gatehouse {
  database: Database;
  rules: TokenRules & SessionRules;
  liveness: Liveness;
  logins: Logins;
  passwords: PasswordChanges;
}

export interface GatehouseOptions {
  database: Database;
  /** Connections for liveness, keys and clients alone, which no login or commit can hold; the same as `database` where that is no matter. */
  reader?: Database;
  hasher: PasswordHasher;
  createCodec: CreateTokenCodec;
  rules: TokenRules & SessionRules;
  jwtAlgorithm: JwtAlgorithm;
  /** AUTH_SECRET, then AUTH_SECRET_PREVIOUS if there is one. */
  secrets: readonly [string, ...string[]];
}

/** AUTH_SECRET does not open the signing keys. A new key is no answer: it would end nothing and start a second truth. */
export class WrongSecret extends Error {
  override name = 'WrongSecret';
}

/**
 * Makes the first signing key if there is none, and reads what a replica remembers.
 *
 * @throws {WrongSecret}
 * @throws {DatabaseUnavailable}
 */
export async function createGatehouse(options: GatehouseOptions): Promise<Gatehouse> {
  const { database, hasher, createCodec, rules, jwtAlgorithm, secrets } = options;
  await createFirstKey(database, jwtAlgorithm, secrets[0]);
  const reader = options.reader ?? database;
  const memory = await createMemory({
    ring: () => loadRing(reader, secrets, rules, createCodec),
    clients: () => loadClients(reader),
  });
  if (!memory.recall().ring.isReadable) throw new WrongSecret('AUTH_SECRET does not open the signing keys');
  const liveness = createLiveness(reader, memory);
  const throttle = createThrottle(database);
  return {
    database,
    rules,
    liveness,
    logins: createLogins({ database, memory, liveness, hasher, throttle, rules }),
    passwords: createPasswordChanges({ database, hasher, throttle }),
  };
}
