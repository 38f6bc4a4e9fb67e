/** Under which names a guess at a password is counted, none of which shows whose password or from where. */
import { createHash } from 'node:crypto';

import { networkOf } from '../networks.js';
import { canonicalUsername } from '../users/usernames.js';

/** How many networks an account's user is remembered from. */
const SLOTS = 16;

export interface Guess {
  account: string;
  network: string;
  /** The two together. */
  pair: string;
  /** Rows that hold networks which the account's user logged in from. */
  slots: string[];
  /**
   * What one of them holds for this network: 31 bits, all that `points` has room for. Another network has the same
   * once in two thousand million times, and then has its guesses counted elsewhere, no more.
   */
  fingerprint: number;
}

/** What is forgotten of an account: rows of these keys, and those that name the account. */
export interface Forgotten {
  /** Null where nothing is forgotten. */
  account: string | null;
  keys: string[];
}

export const NOTHING: Forgotten = { account: null, keys: [] };

/** Hashes, since names are guessed at, and some people type their password in the wrong field. */
export function identifyGuess(typedUsername: string, ip: string): Guess {
  const name = nameOf(typedUsername);
  const network = networkOf(ip);
  const account = accountOf(name);
  const pair = hashOf(name, network);
  return {
    account,
    network: hashOf(network),
    pair,
    slots: slotsOf(account),
    fingerprint: Buffer.from(pair, 'base64url').readUInt32BE() >>> 1,
  };
}

function slotsOf(account: string): string[] {
  return Array.from({ length: SLOTS }, (_, slot) => `familiar:${account}:${slot}`);
}

/** What locks an account for attempts from every network. @param username canonical */
export function locksOf(username: string): Forgotten {
  const account = accountOf(username);
  return { account, keys: [`account:${account}`, `familiarAccount:${account}`] };
}

/** All that is kept about an account, the networks that its user logged in from included. @param username canonical */
export function rowsOf(username: string): Forgotten {
  const account = accountOf(username);
  return { account, keys: [...locksOf(username).keys, ...slotsOf(account)] };
}

/** @param username canonical, where it can be */
export function accountOf(username: string): string {
  return hashOf(username);
}

/** The name that was meant, also where nobody can have it. */
export function nameOf(typedUsername: string): string {
  return canonicalUsername(typedUsername) ?? typedUsername;
}

function hashOf(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
