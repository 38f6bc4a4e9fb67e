// The key ring on real keys in a real database: what it signs it reads, and nothing but what it would have signed.
import { createHmac, createPrivateKey, sign as signBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase, type Database } from '../../src/database/prisma.js';
import { createFirstKey, pruneKeys, reencryptKeys, rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { retireKey } from '../../src/domain/keys/retirement.js';
import { JWT_ALGORITHMS, loadKeys, type JwtAlgorithm, type StoredKey } from '../../src/domain/keys/keys.js';
import { loadRing, type KeyRing } from '../../src/domain/keys/ring.js';
import { unseal } from '../../src/domain/keys/sealing.js';
import { PRUNE_LOCK } from '../../src/domain/sessions/revocations.js';
import { askedOf, askedOfRefresh } from '../../src/domain/tokens/asked.js';
import type { AccessClaims, RefreshClaims, TokenRules } from '../../src/domain/tokens/claims.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { AMPLE_MS } from '../support/house.js';
import { holdRow } from '../support/row-lock.js';

const SECRET = 'a-secret-for-tests-of-more-than-32-bytes';
const NEW_SECRET = 'another-secret-for-tests-of-more-than-32-bytes';
const NOW = 1_800_000_000;
const SID = '019a0000-0000-7000-8000-00000000000a';
const LINEAGE = '019a0000-0000-7000-8000-00000000000b';
const SUB = '019a0000-0000-7000-8000-00000000000c';

const rules: TokenRules = {
  issuer: 'https://login.example.com',
  audience: 'gatehouse',
  accessTtlSeconds: 600,
  reissueGraceSeconds: 60,
  reissueMax: 90,
};

const accessClaims: AccessClaims = {
  iss: rules.issuer,
  sub: SUB,
  aud: rules.audience,
  client_id: 'gatehouse',
  username: 'ada',
  sid: SID,
  jti: `${LINEAGE}.0`,
  iat: NOW,
  exp: NOW + 600,
  auth_time: NOW,
  session_exp: NOW + 86_400,
};

const refreshClaims: RefreshClaims = {
  iss: rules.issuer,
  sub: SUB,
  aud: rules.issuer,
  sid: SID,
  jti: `${SID}.0`,
  iat: NOW,
  exp: NOW + 3600,
  auth_time: NOW,
  session_exp: NOW + 86_400,
};

interface RingHouse {
  test: TestDatabase;
  database: Database;
  ring: (options?: { secrets?: string[]; rules?: TokenRules }) => Promise<KeyRing>;
  close: () => Promise<void>;
}

/** A database whose clock stands at NOW, with one key. */
async function openRingHouse(algorithm: JwtAlgorithm): Promise<RingHouse> {
  const test = await createTestDatabase();
  await test.clock.freeze(NOW);
  const database = openDatabase(test.url, { connections: 2, deadlineMs: AMPLE_MS });
  await createFirstKey(database, algorithm, SECRET);
  return {
    test,
    database,
    ring: (options = {}) =>
      loadRing(database, options.secrets ?? [SECRET], options.rules ?? rules, createTokenCodec),
    close: async () => {
      await database.close();
      await test.drop();
    },
  };
}

async function storedKeys(database: Database): Promise<[StoredKey, ...StoredKey[]]> {
  const [first, ...others] = (await loadKeys(database)).keys;
  if (first === undefined) throw new Error('there is no key');
  return [first, ...others];
}

function encode(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64url');
}

function decode(segment: string): string {
  return Buffer.from(segment, 'base64url').toString();
}

function split(token: string): [header: string, payload: string, signature: string] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  return [header, payload, signature];
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Another text for the same bytes: the last digit of base64url has bits that nobody reads, unless it is full. */
function respell(segment: string): string {
  const last = DIGITS.indexOf(segment.at(-1) ?? '');
  const spelling = segment.slice(0, -1) + (DIGITS[last ^ 1] ?? '');
  if (decode(spelling) !== decode(segment)) throw new Error('this segment has no spare bits');
  return spelling;
}

/** Signs any two segments with a stored key, behind the back of every rule. */
function createForger(stored: StoredKey): (header: string, payload: string) => string {
  const pem = unseal(stored.encryptedPrivateKey, [SECRET], stored.kid);
  if (pem === null) throw new Error('the key does not open');
  const key = createPrivateKey(pem);
  const digest = stored.algorithm === 'EdDSA' ? null : 'sha256';
  return (header, payload) => {
    const input = `${header}.${payload}`;
    const signature = signBytes(digest, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
    return `${input}.${encode(signature)}`;
  };
}

describe.each(JWT_ALGORITHMS)('a ring with a key for %s', (algorithm) => {
  let house: RingHouse;
  let ring: KeyRing;
  let stored: StoredKey;
  let forge: (header: string, payload: string) => string;
  let access: string;
  let refresh: string;

  beforeAll(async () => {
    house = await openRingHouse(algorithm);
    ring = await house.ring();
    [stored] = await storedKeys(house.database);
    forge = createForger(stored);
    access = ring.signAccess(accessClaims);
    refresh = ring.signRefresh(refreshClaims);
  });
  afterAll(() => house.close());

  it('reads what it signs, as what it is', () => {
    expect(ring.read(access)).toEqual({
      kind: 'access',
      claims: accessClaims,
      json: JSON.stringify(accessClaims),
      question: askedOf(accessClaims),
    });
    expect(ring.read(refresh)).toEqual({
      kind: 'refresh',
      claims: refreshClaims,
      json: JSON.stringify(refreshClaims),
      question: askedOfRefresh(refreshClaims),
    });
  });

  it('reads it again, also in another replica, and judges no time', async () => {
    expect(ring.read(access)).toBe(ring.read(access));
    expect((await house.ring()).read(access)).toEqual({
      kind: 'access',
      claims: accessClaims,
      json: JSON.stringify(accessClaims),
      question: askedOf(accessClaims),
    });
    const expired = ring.signAccess({ ...accessClaims, iat: 1, exp: 2, auth_time: 1 });
    expect(ring.read(expired)?.claims.exp).toBe(2);
  });

  it('reads names in any script', () => {
    const claims = { ...accessClaims, username: 'ångström\u2028ἀλέξανδρος😀"\\', scope: 'read write' };
    expect(ring.read(ring.signAccess(claims))?.claims).toEqual(claims);
  });

  it('writes one header per kind, which its codecs name to the letter', async () => {
    const key = { ...stored, privateKey: unseal(stored.encryptedPrivateKey, [SECRET], stored.kid) };
    for (const [typ, token] of [
      ['at+jwt', access],
      ['rt+jwt', refresh],
    ] as const) {
      const codec = await createTokenCodec(key, typ);
      expect(codec.header).toBe(split(token)[0]);
      expect(split(codec.sign(accessClaims))[0]).toBe(codec.header);
      expect(JSON.parse(decode(codec.header))).toEqual({ alg: algorithm, typ, kid: stored.kid });
    }
  });

  it('signs equal claims with equal bytes, but for ES256', () => {
    const again = ring.signRefresh({ ...refreshClaims });
    if (algorithm === 'ES256') expect(split(again).slice(0, 2)).toEqual(split(refresh).slice(0, 2));
    else expect(again).toBe(refresh);
  });

  it('gives claims that nobody can change, however often the same object is handed out', () => {
    for (const token of [access, refresh, access]) {
      const read = ring.read(token);
      expect(Object.isFrozen(read)).toBe(true);
      expect(Object.isFrozen(read?.claims)).toBe(true);
      expect(Object.values(read?.claims ?? {}).every((claim) => typeof claim !== 'object')).toBe(true);
    }
  });

  it('publishes the public half alone', () => {
    const [jwk, ...others] = ring.jwks.keys;
    expect(others).toEqual([]);
    expect(jwk).toMatchObject({ kid: stored.kid, alg: algorithm, use: 'sig' });
    const named = { EdDSA: ['crv', 'x'], ES256: ['crv', 'x', 'y'], RS256: ['e', 'n'] }[algorithm];
    expect(Object.keys(jwk ?? {}).sort()).toEqual([...named, 'alg', 'kid', 'kty', 'use'].sort());
  });

  it('reads what was signed elsewhere with its key, if it is spelled like its own', () => {
    // The control of all forgeries below: the forger's signatures hold.
    const [header, payload] = split(access);
    expect(ring.read(forge(header, payload))).toEqual({
      kind: 'access',
      claims: accessClaims,
      json: JSON.stringify(accessClaims),
      question: askedOf(accessClaims),
    });
  });

  describe('refuses a token that is genuine but for', () => {
    it('padding, white space or foreign characters, wherever they stand', () => {
      const [header, payload, signature] = split(access);
      for (const stray of ['=', '==', ' ', '\n', '\t', '\0', '+', '/', '%', '\u00a0', 'é', '"']) {
        for (const text of [
          `${stray}${access}`,
          `${access}${stray}`,
          `${header}${stray}.${payload}.${signature}`,
          `${header}.${stray}${payload}.${signature}`,
          `${header}.${payload}${stray}.${signature}`,
          `${header}.${payload}.${stray}${signature}`,
          forge(`${header}${stray}`, payload),
          forge(header, `${payload}${stray}`),
          forge(header, `${stray}${payload}`),
        ]) {
          expect(ring.read(text), JSON.stringify(text)).toBeNull();
        }
      }
    });

    it('the alphabet: base64 with + and / instead of base64url', () => {
      const [header, payload] = split(access);
      const wide = encode(
        JSON.stringify({ ...accessClaims, username: '\u00ff\u00bf\u00ff\u00bf\u00ff~~~???>>>' }),
      );
      expect(ring.read(forge(header, wide))).not.toBeNull();
      expect(wide).toMatch(/[-_]/);
      expect(ring.read(forge(header, wide.replaceAll('-', '+').replaceAll('_', '/')))).toBeNull();
      expect(payload).not.toBe(wide);
    });

    it('the spare bits of its signature', () => {
      const [header, payload, signature] = split(access);
      expect(ring.read(`${header}.${payload}.${respell(signature)}`)).toBeNull();
    });

    it('the spare bits of its payload', () => {
      const [header] = split(access);
      // Of three names in a row, two end the payload within a group of three bytes.
      const payloads = ['a', 'aa', 'aaa'].map((username) =>
        encode(JSON.stringify({ ...accessClaims, username })),
      );
      const spared = payloads.filter((payload) => payload.length % 4 !== 0);
      expect(spared).toHaveLength(2);
      for (const payload of spared) {
        expect(ring.read(forge(header, payload))).not.toBeNull();
        expect(ring.read(forge(header, respell(payload)))).toBeNull();
      }
    });

    it('the spare bits of its header', () => {
      for (const token of [access, refresh]) {
        const [header, payload] = split(token);
        const spelling = header.length % 4 === 0 ? `${header}A` : respell(header);
        expect(ring.read(forge(spelling, payload))).toBeNull();
      }
    });

    it('the number of its segments', () => {
      const [header, payload, signature] = split(access);
      for (const text of [
        '',
        '.',
        '..',
        '...',
        header,
        `${header}A`,
        `${header}.`,
        `${header}..`,
        `${header}.${payload}`,
        `${header}.${payload}.`,
        `${header}..${signature}`,
        `.${payload}.${signature}`,
        `${header}.${payload}.${signature}.`,
        `${header}.${payload}.${signature}.${signature}`,
        `${header}.${payload}..${signature}`,
        `.${access}`,
        `${access}.${access}`,
        forge(header, `${payload}.${payload}`),
        forge(header, ''),
      ]) {
        expect(ring.read(text), text).toBeNull();
      }
    });

    it('its header: order, spaces, more or fewer members, another algorithm, type or key', () => {
      const { kid } = stored;
      const [, payload, signature] = split(access);
      const header = { alg: algorithm, typ: 'at+jwt', kid };
      const texts = [
        JSON.stringify({ typ: header.typ, alg: header.alg, kid }),
        JSON.stringify({ kid, alg: header.alg, typ: header.typ }),
        JSON.stringify(header, null, 1),
        ` ${JSON.stringify(header)}`,
        `{"alg":"none",${JSON.stringify(header).slice(1)}`,
        ...[
          { ...header, cty: 'JWT' },
          { ...header, crit: ['exp'] },
          { ...header, b64: false, crit: ['b64'] },
          { ...header, jku: 'https://evil.example/jwks.json' },
          { ...header, jwk: ring.jwks.keys[0] },
          { ...header, x5c: ['AAAA'] },
          { ...header, alg: algorithm.toLowerCase() },
          { ...header, alg: algorithm.charAt(0) + algorithm.slice(1).toLowerCase() },
          { ...header, alg: 'none' },
          { ...header, alg: 'HS256' },
          { ...header, alg: algorithm === 'RS256' ? 'PS256' : 'RS256' },
          ...(algorithm === 'EdDSA' ? [{ ...header, alg: 'Ed25519' }] : [{ ...header, alg: 'EdDSA' }]),
          { ...header, typ: 'AT+JWT' },
          { ...header, typ: 'application/at+jwt' },
          { ...header, typ: 'JWT' },
          { ...header, typ: undefined },
          { ...header, kid: undefined },
          { ...header, kid: kid.toUpperCase().replace(/^[0-9]+$/, 'A') },
          { ...header, kid: `${kid}0` },
          { ...header, kid: [kid] },
          { ...header, kid: '0000000000000000' },
          { ...header, kid: '../../dev/null' },
          { ...header, kid: '__proto__' },
        ].map((changed) => JSON.stringify(changed)),
        'null',
        '[]',
        '{}',
        '"at+jwt"',
        'no JSON',
      ];
      for (const text of texts) {
        expect(text).not.toBe(JSON.stringify(header));
        expect(ring.read(forge(encode(text), payload)), text).toBeNull();
        expect(ring.read(`${encode(text)}.${payload}.${signature}`), text).toBeNull();
        expect(ring.read(`${encode(text)}.${payload}.`), text).toBeNull();
      }
    });

    it('the spelling of its payload: spaces, escapes, doubled members, numbers, bytes that are no UTF-8', () => {
      const [header] = split(access);
      const text = JSON.stringify(accessClaims);
      const respelled = [
        JSON.stringify(accessClaims, null, 1),
        ` ${text}`,
        `${text}\n`,
        `\ufeff${text}`,
        text.replace('"ada"', '"\\u0061da"'),
        text.replace('"username"', '"\\u0075sername"'),
        text.replace('{', '{"sub":"00000000-0000-0000-0000-000000000000",'),
        text.replace(`"iat":${NOW}`, `"iat":${NOW}.0`),
        text.replace(`"iat":${NOW}`, `"iat":18e8`),
      ];
      for (const changed of respelled) {
        expect(changed).not.toBe(text);
        expect(ring.read(forge(header, encode(changed))), changed).toBeNull();
      }
      const bytes = Buffer.from(text);
      bytes[bytes.indexOf('ada')] = 0xff;
      expect(ring.read(forge(header, encode(bytes)))).toBeNull();
    });

    it('its claims: what cannot be ours is not ours, though the signature holds', () => {
      const [header] = split(access);
      for (const payload of [
        'null',
        '[]',
        '[1]',
        '1',
        '"text"',
        '{}',
        JSON.stringify([accessClaims]),
        JSON.stringify({ ...accessClaims, exp: 'x' }),
        JSON.stringify(accessClaims).replace(`"exp":${NOW + 600}`, '"exp":1e999'),
        JSON.stringify({ ...accessClaims, sub: 7 }),
        JSON.stringify({ ...accessClaims, jti: [accessClaims.jti] }),
        JSON.stringify({ ...accessClaims, aud: [accessClaims.aud] }),
        JSON.stringify({ ...accessClaims, iss: 'https://other.example.com' }),
      ]) {
        expect(ring.read(forge(header, encode(payload))), payload).toBeNull();
      }
    });

    it('its kind: neither token passes under the other one’s header', () => {
      const [accessHeader, accessPayload] = split(access);
      const [refreshHeader, refreshPayload] = split(refresh);
      expect(ring.read(forge(refreshHeader, refreshPayload))?.kind).toBe('refresh');
      expect(ring.read(forge(refreshHeader, accessPayload))).toBeNull();
      expect(ring.read(forge(accessHeader, refreshPayload))).toBeNull();
    });

    it('its size', () => {
      const [header] = split(access);
      const sized = (length: number) =>
        forge(header, encode(JSON.stringify({ ...accessClaims, username: 'a'.repeat(length) })));
      const spare = 3800 - sized(0).length;
      expect(ring.read(sized(Math.floor(spare * 0.75) - 3))).not.toBeNull();
      expect(ring.read(sized(Math.ceil(spare * 0.75) + 3))).toBeNull();
    });
  });

  it('refuses signatures that are missing, cut, damaged, of another token, or made with the public key', () => {
    const [header, payload, signature] = split(access);
    const hmac = createHmac('sha256', stored.publicKey).update(`${header}.${payload}`).digest('base64url');
    const bytes = Buffer.from(signature, 'base64url');
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(3) ^ 1, 3);
    for (const changed of [
      '',
      hmac,
      encode(damaged),
      encode(bytes.subarray(0, -1)),
      encode(Buffer.concat([bytes, Buffer.of(0)])),
      encode(Buffer.alloc(bytes.length)),
      split(refresh)[2],
    ]) {
      expect(ring.read(`${header}.${payload}.${changed}`), changed).toBeNull();
    }
  });

  it('refuses the signature of a key that it has too, and of one that it has not', async () => {
    const [header, payload] = split(access);
    const other = await openRingHouse(algorithm);
    try {
      const [foreign] = await storedKeys(other.database);
      expect(ring.read(createForger(foreign)(header, payload))).toBeNull();
      expect(ring.read((await other.ring()).signAccess(accessClaims))).toBeNull();
      await rotateKeys(other.database, algorithm, SECRET);
      const [first, second] = await storedKeys(other.database);
      if (second === undefined) throw new Error('there is no second key');
      const both = await other.ring();
      const [firstHeader] = split(both.signAccess(accessClaims));
      expect(both.read(createForger(first)(firstHeader, payload))).not.toBeNull();
      expect(both.read(createForger(second)(firstHeader, payload))).toBeNull();
    } finally {
      await other.close();
    }
  });

  it('refuses what another issuer or audience signed with its key', async () => {
    for (const change of [{ issuer: 'https://other.example.com' }, { audience: 'other' }]) {
      const other = await house.ring({ rules: { ...rules, ...change } });
      expect(other.read(access)).toBeNull();
    }
  });

  it('reads but does not sign when the secret is wrong', async () => {
    const locked = await house.ring({ secrets: ['another-secret-of-more-than-32-bytes-too'] });
    expect(ring.isReadable).toBe(true);
    expect(locked.isReadable).toBe(false);
    expect(locked.read(access)).toEqual({
      kind: 'access',
      claims: accessClaims,
      json: JSON.stringify(accessClaims),
      question: askedOf(accessClaims),
    });
    expect(locked.read(refresh)).toEqual({
      kind: 'refresh',
      claims: refreshClaims,
      json: JSON.stringify(refreshClaims),
      question: askedOfRefresh(refreshClaims),
    });
    expect(locked.jwks).toEqual(ring.jwks);
    const unavailable = expect.objectContaining({ code: 'temporarily_unavailable' }) as Error;
    expect(() => locked.signAccess(accessClaims)).toThrow(unavailable);
    expect(() => locked.signRefresh(refreshClaims)).toThrow(unavailable);
  });

  it('signs as before with the previous secret beside a new one', async () => {
    const both = await house.ring({ secrets: ['another-secret-of-more-than-32-bytes-too', SECRET] });
    expect(both.isReadable).toBe(true);
    expect(ring.read(both.signAccess(accessClaims))).not.toBeNull();
  });
});

describe('an ES256 signature', () => {
  it('has a twin, which reads as the same token and so ends with it', async () => {
    const house = await openRingHouse('ES256');
    try {
      const ring = await house.ring();
      const [header, payload, signature] = split(ring.signAccess(accessClaims));
      // (r, s) and (r, n - s) both hold (SEC 1 section 4.1.4); revocations name lineages, never texts.
      const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
      const bytes = Buffer.from(signature, 'base64url');
      const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
      const twin = Buffer.concat([
        bytes.subarray(0, 32),
        Buffer.from(s.toString(16).padStart(64, '0'), 'hex'),
      ]);
      expect(ring.read(`${header}.${payload}.${encode(twin)}`)).toEqual({
        kind: 'access',
        claims: accessClaims,
        json: JSON.stringify(accessClaims),
        question: askedOf(accessClaims),
      });
    } finally {
      await house.close();
    }
  });
});

it('the first key is one, however many replicas start at once on an empty database', async () => {
  const test = await createTestDatabase();
  const pools = [1, 2, 3, 4].map(() => openDatabase(test.url, { connections: 1, deadlineMs: AMPLE_MS }));
  // All of them find no key: none has written by the time that the last one asks.
  await Promise.all(pools.map((pool) => pool.query({})`SELECT FROM service`));
  await Promise.all(pools.map((pool) => createFirstKey(pool, 'EdDSA', SECRET)));
  const [pool] = pools;
  expect(pool && (await loadKeys(pool)).keys).toHaveLength(1);
  await Promise.all(pools.map((each) => each.close()));
  await test.drop();
});

it('all keys are encrypted anew, also one that is made while the others are', async () => {
  const house = await openRingHouse('EdDSA');
  const another = openDatabase(house.test.url, { connections: 1, deadlineMs: AMPLE_MS });
  const lock = await holdRow(house.test, 'SELECT FROM service WHERE $1::text IS NOT NULL FOR UPDATE', '');
  const rotating = rotateKeys(another, 'EdDSA', SECRET);
  await lock.queue(1);
  // It has read one key by now, and waits behind the rotation.
  const encrypting = reencryptKeys(house.database, NEW_SECRET, SECRET);
  await lock.queue(2);
  await lock.release();
  expect([await rotating, await encrypting]).toEqual([expect.anything(), { reencrypted: 2 }]);
  expect((await house.ring({ secrets: [NEW_SECRET] })).isReadable).toBe(true);
  await another.close();
  await house.close();
});

describe('the key that signs', () => {
  let house: RingHouse;
  beforeAll(async () => {
    house = await openRingHouse('EdDSA');
  });
  afterAll(() => house.close());

  function kidOf(token: string): string {
    return (JSON.parse(decode(split(token)[0])) as { kid: string }).kid;
  }

  function signedAt(ring: KeyRing, iat: number): string {
    return ring.signAccess({ ...accessClaims, iat, exp: iat + 600 });
  }

  it('is the only one there is, also for times before it', async () => {
    const ring = await house.ring();
    const [{ kid }] = await storedKeys(house.database);
    for (const time of [NOW - 86_400, NOW, NOW + 86_400]) expect(kidOf(signedAt(ring, time))).toBe(kid);
  });

  it('is the next one from its time on, and the one before until then; both are read and published', async () => {
    const next = await rotateKeys(house.database, 'ES256', SECRET);
    expect(next?.signsAt).toBe(NOW + 600);
    const [first, second] = await storedKeys(house.database);
    const ring = await house.ring();
    expect(second?.kid).toBe(next?.kid);
    expect(kidOf(signedAt(ring, NOW + 599))).toBe(first.kid);
    expect(kidOf(signedAt(ring, NOW + 600))).toBe(second?.kid);
    expect(kidOf(ring.signRefresh({ ...refreshClaims, iat: NOW + 599 }))).toBe(first.kid);
    expect(kidOf(ring.signRefresh({ ...refreshClaims, iat: NOW + 600 }))).toBe(second?.kid);
    expect(ring.read(signedAt(ring, NOW + 599))).not.toBeNull();
    expect(ring.read(signedAt(ring, NOW + 600))).not.toBeNull();
    expect(ring.jwks.keys.map(({ kid, alg }) => [kid, alg])).toEqual([
      [first.kid, 'EdDSA'],
      [second?.kid, 'ES256'],
    ]);
  });

  it('is another from the moment that one is retired, which nothing it signed survives', async () => {
    const before = await house.ring();
    const old = signedAt(before, NOW + 599);
    const [first] = await storedKeys(house.database);
    await house.test.clock.freeze(NOW + 300);
    const replacement = await retireKey(house.database, first.kid, 'RS256', SECRET);
    const ring = await house.ring();
    expect(ring.version).not.toBe(before.version);
    expect(ring.isReadable).toBe(true);
    expect(ring.read(old)).toBeNull();
    expect(kidOf(signedAt(ring, NOW + 300))).toBe(replacement?.kid);
    expect(ring.jwks.keys.map(({ kid }) => kid)).not.toContain(first.kid);
  });
});

describe('a key that has signed', () => {
  it('is kept for a session that was opened within the second in which the next one began', async () => {
    const house = await openRingHouse('EdDSA');
    try {
      // `iat` is in whole seconds, so what is issued in the rest of that second is signed by the key before.
      await house.test.clock.freeze(NOW + 0.4);
      const next = await rotateKeys(house.database, 'EdDSA', SECRET);
      const begins = next?.signsAt ?? 0;
      const opened = begins + 0.3;
      const [first] = await storedKeys(house.database);
      await insertSession(house.test, opened);
      const ring = await house.ring();
      const iat = Math.floor(opened);
      const token = ring.signRefresh({ ...refreshClaims, iat, exp: iat + 3600, session_exp: iat + 86_400 });

      await house.test.clock.freeze(begins + 600);
      await pruneKeys(house.database);
      expect((await house.ring()).read(token), `signed by ${first.kid}`).not.toBeNull();
    } finally {
      await house.close();
    }
  });

  describe('and was followed', () => {
    let house: RingHouse;

    beforeEach(async () => {
      house = await openRingHouse('EdDSA');
    });
    afterEach(() => house.close());

    async function kids(): Promise<string[]> {
      return (await storedKeys(house.database)).map(({ kid }) => kid);
    }

    it('is kept six minutes more, for a login that began before and has not committed', async () => {
      const [first] = await storedKeys(house.database);
      const next = await rotateKeys(house.database, 'EdDSA', SECRET);
      const ends = (next?.signsAt ?? 0) + 360;
      await house.test.clock.freeze(ends - 0.001);
      expect(await pruneKeys(house.database)).toBe(0);
      expect(await kids()).toEqual([first.kid, next?.kid]);
      const before = await house.ring();
      await house.test.clock.freeze(ends);
      expect(await pruneKeys(house.database)).toBe(1);
      expect(await kids()).toEqual([next?.kid]);
      // The version tells every replica.
      expect((await house.ring()).version).not.toBe(before.version);
    });

    it('by one that was retired before its time is not outlived by that: it is the one that signs', async () => {
      const next = await rotateKeys(house.database, 'EdDSA', SECRET);
      await house.test.clock.freeze(NOW + 1);
      const replacement = await retireKey(house.database, next?.kid ?? '', 'EdDSA', SECRET);
      await house.test.clock.freeze(NOW + 3600);
      await pruneKeys(house.database);
      expect(await kids()).toContain(replacement?.kid);
      const ring = await house.ring();
      expect(
        ring.read(ring.signAccess({ ...accessClaims, iat: NOW + 3600, exp: NOW + 4200 })),
      ).not.toBeNull();
    });

    it('is left to the replica that prunes at the same time', async () => {
      const next = await rotateKeys(house.database, 'EdDSA', SECRET);
      await house.test.clock.freeze((next?.signsAt ?? 0) + 360);
      const holder = await house.test.admin.connect();
      await holder.query('SELECT pg_advisory_lock($1)', [PRUNE_LOCK]);
      const { version } = await house.ring();
      const gone = await pruneKeys(house.database);
      await holder.query('SELECT pg_advisory_unlock($1)', [PRUNE_LOCK]);
      holder.release();
      expect([gone, (await house.ring()).version]).toEqual([0, version]);
      expect(await pruneKeys(house.database)).toBe(1);
    });

    it('is kept, and the version with it, as long as a session of before it is left', async () => {
      const next = await rotateKeys(house.database, 'EdDSA', SECRET);
      await insertSession(house.test, (next?.signsAt ?? 0) - 0.001);
      await house.test.clock.freeze((next?.signsAt ?? 0) + 86_400);
      const { version } = await house.ring();
      expect(await pruneKeys(house.database)).toBe(0);
      expect((await house.ring()).version).toBe(version);
      await house.test.admin.query('DELETE FROM sessions');
      expect(await pruneKeys(house.database)).toBe(1);
    });
  });
});

/** A session that was opened at that time, with an id of that time. */
async function insertSession(test: TestDatabase, openedAt: number): Promise<void> {
  const time = Math.round(openedAt * 1000)
    .toString(16)
    .padStart(12, '0');
  const id = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
  await test.admin.query(
    `INSERT INTO users (id, username, password_hash, created_at) VALUES ($1, 'ada', '', now())`,
    [SUB],
  );
  await test.admin.query(
    `INSERT INTO sessions (id, user_id, epoch, opened_at, rotated_at, refresh_expires_at, expires_at)
     SELECT $1, $2, 0, opened, opened, opened + interval '1 hour', opened + interval '1 day'
     FROM to_timestamp($3) AS opened`,
    [id, SUB, openedAt],
  );
}
