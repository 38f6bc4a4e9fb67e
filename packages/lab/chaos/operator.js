// @ts-check
// What an operator does on the command line, by the same verbs of the domain and straight to PostgreSQL.
import { setTimeout as sleep } from 'node:timers/promises';

import { SETTING_UP } from './noted-events.js';
import { importFrom } from './postgres.js';

const HASH_AGAIN_MS = 100;
const CALM_DEADLINE_MS = 30_000;

/** @typedef {Awaited<ReturnType<typeof openOperator>>} Operator */

/**
 * What happens within a run bears the actor's name, `by`. Each verb throws what the domain throws: DatabaseUnavailable means that nobody knows whether it happened.
 *
 * @param {{ dist: string, url: string, secret: string }} options
 */
export async function openOperator({ dist, url, secret }) {
  const [
    { openDatabase },
    { createPasswordHasher },
    users,
    { addClient },
    lifecycle,
    { retireKey },
    { listKeys },
    { prune },
  ] = await Promise.all(
    [
      'database/prisma.js',
      'domain/passwords/hasher.js',
      'domain/users/users.js',
      'domain/clients.js',
      'domain/keys/lifecycle.js',
      'domain/keys/retirement.js',
      'domain/keys/keys.js',
      'domain/sessions/revocations.js',
    ].map((path) => importFrom(dist, path)),
  );
  const database = openDatabase(url, { connections: 3 });
  /** Before a run nothing is meant to fail, however busy the machine is. */
  const calm = openDatabase(url, { connections: 1, deadlineMs: CALM_DEADLINE_MS });
  const hasher = createPasswordHasher();
  /** Hashing is dear and many users are made with one password. @type {Map<string, string>} */
  const hashes = new Map();

  /** @param {string} password */
  async function hash(password) {
    const phc = hashes.get(password) ?? (await hashPatiently(password));
    hashes.set(password, phc);
    return phc;
  }

  /** Hashing gives way to all else on the machine, and says so when that takes too long. @param {string} password @returns {Promise<string>} */
  async function hashPatiently(password) {
    for (;;) {
      try {
        return await hasher.hash(password);
      } catch (error) {
        if (!(error instanceof Error) || error.message !== 'temporarily_unavailable') throw error;
        await sleep(HASH_AGAIN_MS);
      }
    }
  }

  return {
    /**
     * @param {string} username
     * @param {string} password
     * @param {string=} scope
     * @returns {Promise<{ id: string, username: string }>}
     */
    addUser: async (username, password, scope = '') => {
      const fresh = { username, passwordHash: await hash(password), scope };
      const user = await users.addUser(calm, fresh, SETTING_UP);
      if (user === null) throw new Error(`there is a user ${username} already`);
      return user;
    },
    /**
     * @param {string} id
     * @param {string[]} permissions
     * @returns {Promise<{ id: string, secret: string }>}
     */
    addClient: async (id, permissions = ['introspect', 'revoke']) => {
      const client = await addClient(calm, { id, permissions }, SETTING_UP);
      if (client === null) throw new Error(`there is a client ${id} already`);
      return client;
    },
    /** @param {string} username @param {string} by */
    disable: async (username, by) => insist(await users.disableUser(database, username, by), username),
    /** @param {string} username @param {string} by */
    enable: async (username, by) => insist(await users.enableUser(database, username, by), username),
    /**
     * @param {string} username
     * @param {string} password
     * @param {string} by
     */
    setPassword: async (username, password, by) =>
      insist(await users.changePassword(database, username, await hash(password), by), username),
    /**
     * Retires the key that signs; every session ends.
     *
     * @param {string} by
     * @returns {Promise<boolean>} false when somebody else has retired it meanwhile
     */
    retireKey: async (by) => {
      /** @type {{ kid: string, state: string }[]} */
      const keys = await listKeys(database);
      const signing = keys.find(({ state }) => state === 'signing');
      if (signing === undefined) throw new Error('no key signs');
      return (await retireKey(database, signing.kid, 'EdDSA', secret, by)) !== null;
    },
    /** @param {string} by @returns {Promise<boolean>} false when a next key is already waiting */
    rotateKey: async (by) => (await lifecycle.rotateKeys(database, 'EdDSA', secret, by)) !== null,
    /** @returns {Promise<number>} how many sessions, revocations and keys are forgotten */
    prune: async () => (await prune(database, { waitTurn: true })) + (await lifecycle.pruneKeys(database)),
    close: async () => {
      await hasher.close();
      await Promise.all([database.close(), calm.close()]);
    },
  };
}

/**
 * @param {boolean} isDone
 * @param {string} username
 */
function insist(isDone, username) {
  if (!isDone) throw new Error(`there is no user ${username}`);
}
