/** Encrypts signing keys at rest under AUTH_SECRET, so that a stolen dump of the database signs nothing. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM with a key derived by HKDF-SHA256 (RFC 5869); the label ties the key to this one use. */
function cipherKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse signing key encryption v1', 32));
}

/**
 * @param context is authenticated but not stored: a sealed text opens only in the place that it was sealed for
 * @returns nonce (12 bytes), ciphertext, tag (16 bytes)
 */
export function seal(plain: string, secret: string, context: string): Uint8Array<ArrayBuffer> {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', cipherKey(secret), nonce);
  cipher.setAAD(Buffer.from(context));
  return new Uint8Array(
    Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]),
  );
}

/** The sealed text, or null when none of the secrets opens it. */
export function unseal(sealed: Uint8Array, secrets: readonly string[], context: string): string | null {
  for (const secret of secrets) {
    const plain = unsealWith(sealed, secret, context);
    if (plain !== null) return plain;
  }
  return null;
}

function unsealWith(sealed: Uint8Array, secret: string, context: string): string | null {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null;
  const decipher = createDecipheriv('aes-256-gcm', cipherKey(secret), sealed.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([
      decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
      decipher.final(),
    ]).toString();
  } catch {
    return null; // The tag does not match: another secret, another context, or a damaged row.
  }
}
