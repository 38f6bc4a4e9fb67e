// @ts-check
// Whether tokens are signed by a key that the service publishes: each one that was received, beside the questions.
import { createPublicKey, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** @typedef {import('./history.js').Token} Token */
/** @typedef {import('node:crypto').JsonWebKey & { kid?: string }} PublishedKey */

const verifyLater = promisify(verify);

/** A key that was not published by then is none: a replica learns of a new one with its next question to the database. */
const PUBLISHED_WITHIN_MS = 8000;
const ASK_AGAIN_MS = 200;

/**
 * @typedef {object} Signatures
 * @property {number} verified
 * @property {number} forged tokens whose signature does not hold
 * @property {string[]} orphans keys that were never seen published; the operator may have retired them at once
 */

/**
 * @param {() => Promise<PublishedKey[] | null>} fetchKeys null where nobody answers
 */
export function createSignatures(fetchKeys) {
  /** @type {Map<string, Promise<import('node:crypto').KeyObject | null>>} */
  const keys = new Map();
  /** @type {Set<string>} */
  const orphans = new Set();
  /** @type {Set<Promise<void>>} */
  const underWay = new Set();
  let verified = 0;
  let forged = 0;

  /** @param {string} kid */
  async function findKey(kid) {
    const giveUpAt = performance.now() + PUBLISHED_WITHIN_MS;
    while (performance.now() < giveUpAt) {
      const found = (await fetchKeys())?.find((key) => key.kid === kid);
      if (found !== undefined) return createPublicKey({ key: found, format: 'jwk' });
      await sleep(ASK_AGAIN_MS);
    }
    orphans.add(kid);
    return null;
  }

  /** @param {Token} token */
  async function judge({ text }) {
    const [header = '', payload = '', signature = ''] = text.split('.');
    const { kid, alg } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const known = keys.get(kid) ?? findKey(kid);
    keys.set(kid, known);
    const key = await known;
    if (key === null) return;
    const signed = Buffer.from(`${header}.${payload}`);
    // Ed25519 hashes by itself: no algorithm is named. It is all that these runs sign with.
    const holds =
      alg === 'EdDSA' && (await verifyLater(null, signed, key, Buffer.from(signature, 'base64url')));
    if (holds) verified += 1;
    else forged += 1;
  }

  return {
    /** @param {Token} token */
    note: (token) => {
      const work = judge(token).finally(() => underWay.delete(work));
      underWay.add(work);
    },
    /** When all have been judged. @returns {Promise<Signatures>} */
    settle: async () => {
      await Promise.all(underWay);
      return { verified, forged, orphans: [...orphans] };
    },
  };
}
