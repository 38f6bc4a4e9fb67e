/** Every verb for operators on one page: programs that hold a client's permissions, and the command line. */
import type { Database } from '../../database/prisma.js';
import {
  addClient,
  addSecret,
  changeClient,
  removeClient,
  removeSecret,
  type FoundClient,
  type ListedSecret,
  type Granted,
} from '../clients.js';
import { AuthError } from '../errors.js';
import type { Throttle } from '../guessing/throttle.js';
import { listKeys, type ListedKey } from '../keys/keys.js';
import type { Judge } from '../liveness/liveness.js';
import type { Trail } from '../reports/told.js';
import { findClient, findClients } from './clients.js';
import { findKeys, retire, rotate, type KeyRules, type Retired } from './keys.js';
import { deleteUser } from './deletion.js';
import { end, type Doomed, type EndingOrder, type EndingOutcome, type Foreseen } from './endings.js';
import { exportUser, type UserExport } from './export.js';
import { importUsers, type Imported } from './import.js';
import type { ImportLine } from './import-lines.js';
import { findEvents, type EventFilter, type FoundEvent } from './events.js';
import {
  findRevocation,
  findRevocations,
  type FoundRevocation,
  type RevocationFilter,
} from './found-revocations.js';
import { findSession, findSessions, type FoundSession, type SessionFilter } from './found-sessions.js';
import { findUsers, type UserFilter } from './found-users.js';
import { liftRevocation } from './lift.js';
import type { Page, PageOrder } from './pages.js';
import { generatePassword, refusePassword, type PasswordRules } from '../passwords/policy.js';
import { issueCode, type Code } from '../passwords/codes.js';
import type { PasswordHasher } from '../passwords/hasher.js';
import type { TokenRules } from '../tokens/claims.js';
import { changeUser, createUser, type UserChange } from './users.js';
import { findUserById, type FoundUser } from '../users/found.js';

/** A password that is set by an operator, or is to be made here; null for none, until a code sets one. */
export type NewPassword = { text: string } | { isGenerated: true } | null;

/**
 * In each verb that changes something, `by` is who acts, as it stands in rows (sessions/actors.ts). Each verb rejects with {@link DatabaseUnavailable} when the
 * primary cannot be asked.
 */
export interface Operators {
  /** Users, latest id first. @throws {AuthError} invalid_request for a cursor of another list */
  findUsers: (filter: UserFilter, page: PageOrder) => Promise<Page<FoundUser>>;
  /** @throws {AuthError} not_found */
  findUser: (id: string) => Promise<FoundUser>;
  /**
   * Adds a user under a canonical name.
   *
   * @returns the password where it was made here: nobody sees it again
   * @throws {AuthError} username_taken; invalid_request when the password is not good enough, or tokens would be too long;
   * temporarily_unavailable: no room to hash
   */
  createUser: (
    user: { username: string; scope: string },
    password: NewPassword,
    by: string,
    trail?: Trail,
  ) => Promise<FoundUser & { password?: string }>;
  /**
   * Adds users of another system with the hashes of their passwords, each line by itself: one that is wrong is named, and one whose
   * name is taken changes nothing.
   *
   * @param lines at most as many as one request may have
   */
  importUsers: (lines: readonly ImportLine[], by: string, trail?: Trail) => Promise<Imported>;
  /**
   * Changes what is named. Another name or scope ends the user's access tokens; disabling and a new password end the sessions, and a new
   * password unlocks the account.
   *
   * @throws {AuthError} not_found, and as {@link createUser}
   */
  changeUser: (
    id: string,
    change: Omit<UserChange, 'passwordHash'> & { password?: string | undefined },
    by: string,
    trail?: Trail,
  ) => Promise<FoundUser>;
  /**
   * Lets the next attempt at the user's password in, from whichever network. Another replica may repeat a refusal for a second.
   *
   * @throws {AuthError} not_found
   */
  unlockUser: (id: string, by: string, trail?: Trail) => Promise<void>;
  /**
   * Makes a code that sets the user's password once, in the place of one that was made before.
   *
   * @returns the code, which is shown this once
   * @throws {AuthError} not_found, user_disabled
   */
  issueCode: (id: string, expiresInSeconds: number | undefined, by: string, trail?: Trail) => Promise<Code>;
  /** Deletes a user, if there is one: every session has ended, and the name is free. */
  deleteUser: (id: string, by: string, trail?: Trail) => Promise<void>;
  /**
   * One part of all that is kept about a user.
   *
   * @param after the `next` of the part before; null for the first
   * @throws {AuthError} not_found, invalid_request for another `after`
   */
  exportUser: (id: string, after: string | null) => Promise<UserExport>;
  /** Sessions, latest opened first; of a network a page may be short. @throws {AuthError} invalid_request for a cursor of another list */
  findSessions: (filter: SessionFilter, page: PageOrder) => Promise<Page<FoundSession>>;
  /** @throws {AuthError} not_found */
  findSession: (id: string) => Promise<FoundSession>;
  /** Revocations, latest first. @throws {AuthError} invalid_request for a cursor of another list */
  findRevocations: (filter: RevocationFilter, page: PageOrder) => Promise<Page<FoundRevocation>>;
  /** @throws {AuthError} not_found */
  findRevocation: (id: string) => Promise<FoundRevocation>;
  /**
   * Ends it at once, on every replica.
   *
   * @param doomed a token is given as its text
   * @throws {AuthError} invalid_request for a text that is no token of ours, a time to come, or one that is too long for a network;
   * too_many_sessions
   */
  end: (
    doomed: Exclude<Doomed, { token: unknown }> | { text: string },
    order: EndingOrder,
    trail?: Trail,
  ) => Promise<EndingOutcome>;
  /** @throws {AuthError} not_found, not_liftable */
  liftRevocation: (
    id: string,
    by: string,
    note: string | null,
    trail?: Trail,
  ) => Promise<{ isRestored: boolean }>;

  /** Events, latest first. A page may be short, and not the last. @throws {AuthError} invalid_request for a cursor of another list */
  findEvents: (filter: EventFilter, page: PageOrder) => Promise<Page<FoundEvent>>;

  /** Clients, latest added first. @throws {AuthError} invalid_request for a cursor of another list */
  findClients: (page: PageOrder) => Promise<Page<FoundClient>>;
  /** @throws {AuthError} not_found */
  findClient: (id: string) => Promise<FoundClient>;
  /**
   * Where `by` is a client, it needs each permission that it would give, and each one that the other client holds, at the moment in
   * which this is done; where it has audiences, those that it would give, and those of the other client, must be among them.
   *
   * @returns the client with its one secret, which is shown this once
   * @throws {AuthError} insufficient_scope, client_id_taken
   */
  addClient: (
    client: Granted & { id: string },
    by: string,
    trail?: Trail,
  ) => Promise<FoundClient & { secret: string }>;
  /**
   * @param change in place of what it has; what is not named stays
   * @throws {AuthError} not_found, insufficient_scope
   */
  changeClient: (
    id: string,
    change: Parameters<typeof changeClient>[2],
    by: string,
    trail?: Trail,
  ) => Promise<FoundClient>;
  /** Removes it at once, on every replica, if it is there. @throws {AuthError} insufficient_scope */
  removeClient: (id: string, by: string, trail?: Trail) => Promise<void>;
  /** @returns a further secret, which is shown this once @throws {AuthError} not_found, insufficient_scope, too_many_secrets */
  addSecret: (id: string, by: string, trail?: Trail) => Promise<ListedSecret & { secret: string }>;
  /** Deletes it at once, on every replica, if it is there. @throws {AuthError} insufficient_scope */
  removeSecret: (id: string, secretId: string, by: string, trail?: Trail) => Promise<void>;

  /** Signing keys, latest to sign first. @throws {AuthError} invalid_request for a cursor of another list */
  findKeys: (page: PageOrder) => Promise<Page<ListedKey>>;
  /**
   * Publishes the next key, unless one waits already; the same key again for a repetition.
   *
   * @throws {AuthError} temporarily_unavailable where no secret of this replica opens the newest key
   */
  rotateKeys: (by: string, trail?: Trail) => Promise<ListedKey>;
  /** What a retirement would end. @throws {AuthError} not_found */
  foreseeRetirement: (kid: string) => Promise<Foreseen>;
  /**
   * Ends a key with all sessions of everybody, at once and on every replica; another key signs from then on.
   *
   * @throws {AuthError} not_found; temporarily_unavailable where no secret of this replica opens the newest key
   */
  retireKey: (kid: string, by: string, trail?: Trail) => Promise<Retired>;
}

const NOTHING: Foreseen = { users: 0, sessions: 0, tokens: 0, isMore: false, sample: [] };

const NO_TOKEN = 'The token is none that this service has signed with a key that still counts.';

/** Shorter than anybody waits for the whole. */
const JUDGED_WITHIN_MS = 1500;

export function createOperators(parts: {
  database: Database;
  judge: Judge;
  hasher: PasswordHasher;
  throttle: Throttle;
  rules: TokenRules & PasswordRules;
  keyRules: KeyRules;
}): Operators {
  const { database, judge, hasher, throttle, rules, keyRules } = parts;

  async function hashGood(text: string, username: string): Promise<string> {
    const { passwordMinLength } = rules;
    const problem = await refusePassword(text, { username, passwordMinLength, withinMs: JUDGED_WITHIN_MS });
    if (problem !== null) throw new AuthError('invalid_request', { detail: `The password ${problem}.` });
    return await hasher.hash(text);
  }

  return {
    findUsers: (filter, page) => findUsers(database, filter, page),
    findUser: async (id) => found(await findUserById(database, id), 'user'),
    createUser: async (user, password, by, trail) => {
      if (password === null)
        return await createUser(database, { ...user, passwordHash: null }, by, rules, trail);
      if ('text' in password) {
        const passwordHash = await hashGood(password.text, user.username);
        return await createUser(database, { ...user, passwordHash }, by, rules, trail);
      }
      const made = generatePassword();
      const passwordHash = await hasher.hash(made);
      return { ...(await createUser(database, { ...user, passwordHash }, by, rules, trail)), password: made };
    },
    importUsers: (lines, by, trail) => importUsers(database, lines, by, rules, trail),
    changeUser: async (id, { password, ...change }, by, trail) => {
      const username = change.username ?? found(await findUserById(database, id), 'user').username;
      const passwordHash = password === undefined ? undefined : await hashGood(password, username);
      const changed = await changeUser(database, id, { ...change, passwordHash }, by, rules, trail);
      if (passwordHash !== undefined) throttle.forgetRefusals();
      return changed;
    },
    unlockUser: async (id, by, trail) => {
      const { username } = found(await findUserById(database, id), 'user');
      await throttle.unlock(username, { userId: id, by, trail });
    },

    issueCode: (id, expiresInSeconds, by, trail) => issueCode(database, id, expiresInSeconds, by, trail),
    deleteUser: (id, by, trail) => deleteUser(database, id, by, trail),
    exportUser: async (id, after) => found(await exportUser(database, id, after), 'user'),
    findSessions: (filter, page) => findSessions(database, filter, page),
    findSession: async (id) => found(await findSession(database, id), 'session'),
    findRevocations: (filter, page) => findRevocations(database, filter, page),
    findRevocation: async (id) => found(await findRevocation(database, id), 'revocation'),
    end: async (doomed, order, trail) => {
      if (!('text' in doomed)) return await end(database, doomed, order, trail);
      const { token } = await judge(doomed.text);
      if (token === null) throw new AuthError('invalid_request', { detail: NO_TOKEN });
      return await end(database, { token }, order, trail);
    },
    liftRevocation: (id, by, note, trail) => liftRevocation(database, id, by, note, trail),

    findEvents: (filter, page) => findEvents(database, filter, page),

    findClients: (page) => findClients(database, page),
    findClient: async (id) => found(await findClient(database, id), 'client'),
    addClient: async (asked, by, trail) => {
      const client = await addClient(database, asked, by, trail);
      if (client === null) throw new AuthError('client_id_taken');
      return client;
    },
    changeClient: async (id, change, by, trail) =>
      found(await changeClient(database, id, change, by, trail), 'client'),
    removeClient: async (id, by, trail) => {
      await removeClient(database, id, by, trail);
    },
    addSecret: async (id, by, trail) => found(await addSecret(database, id, by, trail), 'client'),
    removeSecret: async (id, secretId, by, trail) => {
      await removeSecret(database, id, secretId, by, trail);
    },

    findKeys: (page) => findKeys(database, page),
    rotateKeys: (by, trail) => rotate(database, by, keyRules, trail),
    foreseeRetirement: async (kid) => {
      const key = (await listKeys(database)).find((each) => each.kid === kid) ?? null;
      if (found(key, 'key').retiredAt !== null) return NOTHING;
      const order = { actor: '', reason: '', note: null, maxSessions: null, isDryRun: true };
      return await end(database, { openedBefore: null }, order);
    },
    retireKey: (kid, by, trail) => retire(database, kid, by, keyRules, trail),
  };
}

function found<Thing>(thing: Thing | null, name: string): Thing {
  if (thing === null) throw new AuthError('not_found', { detail: `There is no such ${name}.` });
  return thing;
}
