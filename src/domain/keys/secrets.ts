/** What a secret of an operator must not be: a key, or a text that a program of a few lines would guess. */
import { createPrivateKey, createPublicKey } from 'node:crypto';

/** Random text of 32 characters has some 20 different ones, and more different steps between neighbours. */
const LEAST_DIFFERENT = 8;

/** Whether it is all equal, repeats a few characters or counts through an alphabet. */
export function isMonotonous(text: string): boolean {
  const points = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  const steps = points.slice(1).map((point, at) => point - (points[at] ?? 0));
  return [points, steps].some((numbers) => new Set(numbers).size < LEAST_DIFFERENT);
}

/**
 * Whether it is a key or a token, in the open or in base64: PEM, JWK, JWKS, JWT, DER, OpenSSH. A public one would be
 * known to all the world, a private one has another use, and who has that would have our keys.
 */
export function isKeyMaterial(text: string): boolean {
  const decoded = Buffer.from(text, 'base64');
  // Not asked of the decoded text: one random secret in 256 decodes to a brace and noise.
  const isObject = /^\s*\{/.test(text);
  return isObject || [text, decoded.toString('latin1')].some(isWrittenKey) || isDer(decoded);
}

function isWrittenKey(text: string): boolean {
  const isToken = /^\s*eyJ[\w-]+\.[\w-]*\.[\w-]*\s*$/.test(text);
  return isToken || /-----BEGIN |"k(?:ty|eys)"\s*:|^\s*(?:ssh|ecdsa|sk-ssh)-/.test(text);
}

function isDer(key: Buffer): boolean {
  // A sequence: whatever else it may be, it begins so, and most texts do not.
  if (key[0] !== 0x30) return false;
  const readers = [
    () => createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
    () => createPrivateKey({ key, format: 'der', type: 'pkcs1' }),
    () => createPrivateKey({ key, format: 'der', type: 'sec1' }),
    () => createPublicKey({ key, format: 'der', type: 'spki' }),
    () => createPublicKey({ key, format: 'der', type: 'pkcs1' }),
  ];
  return readers.some(succeeds);
}

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
