// Tokens that lie about their algorithm, or are signed in another way than their key is for.
import { constants, createHmac, createPublicKey, sign as signBytes, type BinaryLike } from 'node:crypto';

import { subjectsByKey, type HostileToken, type Spoiled } from './hostile-token.js';
import { encode, sign, split, type OurKey, type Stage, type Subject } from './stage.js';

/** Every name of RFC 7518 and its successors, and of what libraries and attackers have made up. */
const ALGORITHMS =
  'HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 ES256K EdDSA Ed25519 Ed448 HS1 RS1 ' +
  'HS256/64 ESP256 ESB256 ML-DSA-44 ML-DSA-65 ML-DSA-87 BS256 RSA1_5 RSA-OAEP RSA-OAEP-256 A128KW A256KW dir ' +
  'ECDH-ES ECDH-ES+A256KW A128GCMKW PBES2-HS256+A128KW A128CBC-HS256 A256GCM MD5 SHA256 SHA1 CRC32 plain any * ' +
  'true 0 undefined null [object\u00a0Object] __proto__ constructor toString eddsa EDDSA EdDsa es256 rs256 Es256 ' +
  'EdDSA\0 \u200bEdDSA EdDSA, ES256,RS256 RS256;';

export function algorithmTokens(stage: Stage): HostileToken[] {
  return subjectsByKey(stage).flatMap((subject) => [
    ...unsecured(subject),
    ...misnamed(subject),
    ...keyedWithPublicKey(subject),
    ...crossed(subject, stage),
    ...signedOtherwise(subject),
  ]);
}

/** `none` in every case and disguise, without a signature and with a genuine one. */
function unsecured({ label, header, claims, genuine }: Subject): HostileToken[] {
  const cases = Array.from({ length: 16 }, (_, bits) =>
    Array.from('none', (letter, at) => ((bits >> at) & 1 ? letter.toUpperCase() : letter)).join(''),
  );
  const disguises: unknown[] = [
    ...[' none', 'none ', 'none\0', '\tnone', 'none\n', 'n\u043ene', '\uff4e\uff4f\uff4e\uff45', 'non\u0435'],
    ...['"none"', 'none256', 'None,EdDSA', 'EdDSA,none', 'nil', 'plaintext', 'unsecured', '', 'no\u200bne'],
    ...[null, ['none'], ['EdDSA', 'none'], { name: 'none' }, 0, false, true],
  ];
  const payload = encode(JSON.stringify(claims));
  const signature = split(genuine)[2];
  return [...cases, ...disguises].flatMap((alg) => {
    const head = encode(JSON.stringify({ ...header, alg }));
    const name = `${label}, unsecured as ${JSON.stringify(alg)}`;
    return [
      { name: `${name}, unsigned`, token: `${head}.${payload}.` },
      { name: `${name}, signature kept`, token: `${head}.${payload}.${signature}` },
    ];
  });
}

/** The genuine key and a signature that holds, under another name; and the name missing. */
function misnamed({ label, header, claims, forge }: Subject): HostileToken[] {
  const payload = JSON.stringify(claims);
  const named = ALGORITHMS.split(' ').filter((alg) => alg !== header.alg);
  const tokens = named.map((alg) => ({
    name: `${label}, misnamed ${JSON.stringify(alg)}`,
    token: forge(JSON.stringify({ ...header, alg }), payload),
  }));
  const nameless = forge(JSON.stringify({ typ: header.typ, kid: header.kid }), payload);
  return [...tokens, { name: `${label}, no algorithm`, token: nameless }];
}

/** Our public key, which everybody has, as the secret of an HMAC. */
function keyedWithPublicKey({ label, header, claims, key, genuine }: Subject): HostileToken[] {
  const payload = encode(JSON.stringify(claims));
  return secretsFrom(key).flatMap(([spelling, secret]) =>
    (['HS256', 'HS384', 'HS512'] as const).flatMap((alg) => {
      const hmac = (input: string) =>
        createHmac(`sha${alg.slice(2)}`, secret)
          .update(input)
          .digest('base64url');
      const named = `${encode(JSON.stringify({ ...header, alg }))}.${payload}`;
      // The header that we look for, so that nothing but the signature can refuse it.
      const ours = `${split(genuine)[0]}.${payload}`;
      return [
        { name: `${label}, ${alg} with ${spelling}`, token: `${named}.${hmac(named)}` },
        { name: `${label}, ${alg} with ${spelling}, named as ours`, token: `${ours}.${hmac(ours)}` },
      ];
    }),
  );
}

function secretsFrom({ publicKey: pem, kid, algorithm }: OurKey): [string, BinaryLike][] {
  const key = createPublicKey(pem);
  const jwk = { ...key.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' };
  const body = pem.replaceAll(/-----[^-]+-----|\s/g, '');
  return [
    ['the PEM', pem],
    ['the PEM without a newline', pem.trimEnd()],
    ['the PEM with CRLF', pem.replaceAll('\n', '\r\n')],
    ['the PEM after a BOM', `\ufeff${pem}`],
    ['the PEM after a space', ` ${pem}`],
    ['the PEM with another newline', `${pem}\n`],
    ['the PEM in one line', pem.replaceAll('\n', '')],
    ['the PEM with escaped newlines', pem.replaceAll('\n', '\\n')],
    ['the body of the PEM', body],
    ['the lines of the PEM', pem.split('\n').slice(1, -2).join('\n')],
    ['the DER', key.export({ type: 'spki', format: 'der' })],
    ['the JWK', JSON.stringify(jwk)],
    ['the bare JWK', JSON.stringify(key.export({ format: 'jwk' }))],
    ['the JWKS', JSON.stringify({ keys: [jwk] })],
    ['the raw key', Buffer.from(key.export({ format: 'jwk' }).x ?? jwk.n ?? '', 'base64url')],
    ['the kid', kid],
    ['an empty secret', ''],
    ['a zero byte', Buffer.alloc(1)],
    ['32 zero bytes', Buffer.alloc(32)],
    ['the word secret', 'secret'],
    ['null', 'null'],
  ];
}

/** Each key's signature under the name and under the header of each other key. */
function crossed({ label, header, claims, key }: Subject, { keys, retired }: Stage): HostileToken[] {
  const payload = encode(JSON.stringify(claims));
  return [...keys, retired]
    .filter((other) => other !== key)
    .flatMap((other) => {
      const from = `${label}, signed by ${other === retired ? 'the retired key' : other.algorithm}`;
      const heads: [string, object][] = [
        ['under our header', header],
        ['under its name and our kid', { ...header, alg: other.algorithm }],
        ['under our name and its kid', { ...header, kid: other.kid }],
      ];
      const own: [string, object] = [
        'under its header',
        { alg: other.algorithm, typ: header.typ, kid: other.kid },
      ];
      // With its own name and kid it is genuine, unless the key was retired.
      if (other === retired) heads.push(own);
      const distinct = new Map(heads.map(([how, head]) => [JSON.stringify(head), how]));
      if (other !== retired) distinct.delete(JSON.stringify(own[1]));
      return Array.from(distinct, ([head, how]) => ({
        name: `${from} ${how}`,
        token: sign(other, `${encode(head)}.${payload}`),
      }));
    });
}

/** The right header; a signature that is another scheme's, or breaks the rules of its own. */
function signedOtherwise({ label, genuine, key }: Subject): HostileToken[] {
  const [header, payload, signature] = split(genuine);
  const input = `${header}.${payload}`;
  const bytes = Buffer.from(signature, 'base64url');
  const general: Spoiled[] = [
    ['missing', ''],
    ['zeros', Buffer.alloc(bytes.length)],
    ['ones', Buffer.alloc(bytes.length, 0xff)],
    ['one byte short', bytes.subarray(0, -1)],
    ['one byte long', Buffer.concat([bytes, Buffer.of(0)])],
    ['one byte long in front', Buffer.concat([Buffer.of(0), bytes])],
    ['half', bytes.subarray(0, bytes.length / 2)],
    ['twice', Buffer.concat([bytes, bytes])],
    ['reversed', Buffer.from(bytes).reverse()],
    ['the input', input],
  ];
  return [...general, ...particular(key, input, bytes)].map(([how, text]) => ({
    name: `${label}, signature: ${how}`,
    token: `${input}.${encode(text)}`,
  }));
}

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const ED25519_ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;

function particular({ algorithm, privateKey: key }: OurKey, input: string, bytes: Buffer): Spoiled[] {
  const data = Buffer.from(input);
  if (algorithm === 'RS256') {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return [
      ...['sha1', 'sha384', 'sha512'].map((hash): Spoiled => [hash, signBytes(hash, data, key)]),
      ...['sha256', 'sha384', 'sha512'].map((hash): Spoiled => [
        `PSS with ${hash}`,
        signBytes(hash, data, { key, padding, saltLength: Number(hash.slice(3)) / 8 }),
      ]),
      ['one', Buffer.concat([Buffer.alloc(255), Buffer.of(1)])],
    ];
  }
  if (algorithm === 'EdDSA') {
    const [point, scalar] = [bytes.subarray(0, 32), Buffer.from(bytes.subarray(32)).reverse()];
    const beyond = bytesOf(BigInt(`0x${scalar.toString('hex')}`) + ED25519_ORDER).reverse();
    return [
      // RFC 8032 section 5.1.7: S has to be less than the order.
      ['S + L', Buffer.concat([point, beyond])],
      ['the neutral point', Buffer.concat([Buffer.of(1), Buffer.alloc(63)])],
    ];
  }
  const [r, s] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const zero = Buffer.alloc(32);
  const order = bytesOf(P256_ORDER);
  return [
    ['DER', signBytes('sha256', data, key)],
    ...['sha1', 'sha384', 'sha512'].map((hash): Spoiled => [
      hash,
      signBytes(hash, data, { key, dsaEncoding: 'ieee-p1363' }),
    ]),
    ['r = 0', Buffer.concat([zero, s])],
    ['s = 0', Buffer.concat([r, zero])],
    ['r = s = n', Buffer.concat([order, order])],
    ['r = s = 1', Buffer.concat([bytesOf(1n), bytesOf(1n)])],
    ['s and r', Buffer.concat([s, r])],
  ];
}

/** 32 bytes, most significant first. */
function bytesOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0').slice(-64), 'hex');
}
