/** Signing keys for operators: what each one does, the next one, and the end of one that has leaked. */
import type { Database } from '../../database/prisma.js';
import { AuthError, WrongSecret } from '../errors.js';
import { listKeys, loadKeys, type JwtAlgorithm, type ListedKey } from '../keys/keys.js';
import { findSealingSecret, rotateKeys } from '../keys/lifecycle.js';
import { retireKey } from '../keys/retirement.js';
import type { Trail } from '../reports/told.js';
import { readPage, type Page, type PageOrder } from './pages.js';

/** What new keys are made with. */
export interface KeyRules {
  algorithm: JwtAlgorithm;
  /** AUTH_SECRET, then AUTH_SECRET_PREVIOUS if there is one. */
  secrets: readonly string[];
}

/** The keys that were found once one of them is dead. */
export interface Retired {
  retired: ListedKey;
  /** The one that signs now. */
  signing: ListedKey;
}

const startOf = ({ signsAt }: ListedKey) => new Date(Math.round(signsAt * 1000));

/** All keys that are kept, latest to sign first. There are few: each replica has all of them in memory. */
export async function findKeys(database: Database, order: PageOrder): Promise<Page<ListedKey>> {
  return await readPage(
    { name: 'keys', filter: {}, isId: () => true },
    order,
    (key) => ({ at: startOf(key), id: key.kid }),
    async (after, count) => {
      const keys = (await listKeys(database)).toReversed();
      const at = after?.at?.getTime() ?? Infinity;
      const isAfter = (key: ListedKey) =>
        startOf(key).getTime() < at || (startOf(key).getTime() === at && key.kid < (after?.id ?? ''));
      return keys.filter(isAfter).slice(0, count);
    },
  );
}

/**
 * Publishes the next key; where one waits already, nothing is made.
 *
 * @param by the actor, as it stands in rows; here and below
 * @returns the key that is going to sign
 * @throws {AuthError} temporarily_unavailable where no secret of this replica opens the newest key
 */
export async function rotate(
  database: Database,
  by: string,
  rules: KeyRules,
  trail?: Trail,
): Promise<ListedKey> {
  const made = await rotateKeys(database, rules.algorithm, await findSecret(database, rules), by, trail);
  if (made === null) await waitForTheFirst(database);
  const keys = await listKeys(database);
  const next = keys.find(({ kid, state }) => (made === null ? state === 'next' : kid === made.kid));
  // The one that was waiting has begun to sign in the meantime.
  return next ?? (await rotate(database, by, rules, trail));
}

/**
 * Ends a key that has leaked, with every session of everybody. A key that was retired before stays as it is, and nothing ends.
 *
 * @throws {AuthError} not_found; temporarily_unavailable where no secret of this replica opens the newest key
 */
export async function retire(
  database: Database,
  kid: string,
  by: string,
  rules: KeyRules,
  trail?: Trail,
): Promise<Retired> {
  const secret = await findSecret(database, rules);
  const done = await retireKey(database, kid, rules.algorithm, secret, by, trail);
  if (done === null) await waitForTheFirst(database);
  const keys = await listKeys(database);
  const retired = keys.find((key) => key.kid === kid);
  const signing = keys.find(({ state }) => state === 'signing');
  if (retired === undefined || signing === undefined)
    throw new AuthError('not_found', { detail: 'There is no such key.' });
  return { retired, signing };
}

/** Which all replicas know, also while the secret is being changed. */
async function findSecret(database: Database, { secrets }: KeyRules): Promise<string> {
  const secret = findSealingSecret((await loadKeys(database)).keys, secrets);
  if (secret !== null) return secret;
  const cause = new WrongSecret('neither AUTH_SECRET nor AUTH_SECRET_PREVIOUS opens the newest key');
  throw new AuthError('temporarily_unavailable', { cause });
}

/** A call that finds nothing to do writes as well. */
async function waitForTheFirst(database: Database): Promise<void> {
  // Settles a repetition of a call whose answer was lost: the commit of this waits for all that must confirm that of the first call.
  await database.query({})`UPDATE service SET keys_version = keys_version`;
}
