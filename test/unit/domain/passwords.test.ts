import { hash as argon2 } from '@node-rs/argon2';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AuthError } from '../../../src/domain/errors.js';
import {
  createPasswordHasher,
  CURRENT_PARAMETERS,
  preparePassword,
} from '../../../src/domain/passwords/hasher.js';
import { countPermits } from '../../../src/domain/passwords/admission.js';

const CHEAP = { memoryKib: 8, passes: 1, lanes: 1 };
const password = 'correct horse battery staple';

const busy = expect.objectContaining({ code: 'temporarily_unavailable', retryAfterSeconds: 1 }) as AuthError;

describe('preparing a password (OpaqueString, RFC 8265 section 4.2)', () => {
  it.each([
    ['correct horse battery staple', 'correct horse battery staple'],
    ['Correct Horse Battery Staple', 'Correct Horse Battery Staple'],
    ['πßå', 'πßå'],
    ['Jack of \u2666s', 'Jack of \u2666s'],
    ['foo\u1680bar', 'foo bar'],
    ['\u00A0a\u2003b\u3000', ' a b '],
    ['  two  spaces  ', '  two  spaces  '],
    ['e\u0301', '\u00E9'],
    ['\u212B', '\u00C5'],
    ['\uFF21\u2163\uFB00', '\uFF21\u2163\uFB00'],
    ['', ''],
  ])('turns %j into %j', (typed, prepared) => {
    expect(preparePassword(typed)).toBe(prepared);
  });

  it('rejects nothing and has nothing left to do the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (typed) => {
        const prepared = preparePassword(typed);
        expect(preparePassword(prepared)).toBe(prepared);
        expect(preparePassword(typed.normalize('NFD'))).toBe(prepared);
      }),
    );
  });
});

describe('hashing', () => {
  it('makes PHC strings of argon2id with 19 MiB, two passes and one lane', async () => {
    const { hash } = createPasswordHasher({ maxWaitMs: 60_000 });
    const [one, other] = await Promise.all([hash(password), hash(password)]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(other).not.toBe(one);
  });

  it('knows the password again however it was typed, and no other', async () => {
    const { hash, verify } = createPasswordHasher({ parameters: CHEAP });
    const phc = await hash('caf\u00E9 of the \u212Bngstr\u00F6ms');
    expect(await verify(phc, 'cafe\u0301\u00A0of\u3000the \u00C5ngstro\u0308ms')).toBe(true);
    expect(await verify(phc, 'Caf\u00E9 of the \u212Bngstr\u00F6ms')).toBe(false);
    expect(await verify(phc, '')).toBe(false);
  });

  it('does not take a lone surrogate for the replacement character', async () => {
    const { hash, verify } = createPasswordHasher({ parameters: CHEAP });
    const phc = await hash('correct horse battery \uFFFD');
    expect(await verify(phc, 'correct horse battery \uD800')).toBe(false);
    expect(await verify(phc, 'correct horse battery \uFFFD')).toBe(true);
  });

  it('verifies stored hashes by their own parameters, weaker or stronger', async () => {
    const { verify } = createPasswordHasher();
    for (const parameters of [CHEAP, { memoryKib: 32_768, passes: 3, lanes: 2 }]) {
      const phc = await createPasswordHasher({ parameters }).hash(password);
      expect(await verify(phc, password)).toBe(true);
      expect(await verify(phc, 'wrong')).toBe(false);
    }
  });

  it.each([
    '',
    'x',
    password,
    '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
    '$argon2id$v=19$m=19456,t=2,p=1$',
    '$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA',
    '$argon2id$v=19$m=0,t=0,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=99$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA',
  ])('says no to a stored hash that it cannot read: %j', async (phc) => {
    const { verify, needsRehash } = createPasswordHasher({ parameters: CHEAP });
    expect(await verify(phc, password)).toBe(false);
    expect(needsRehash(phc)).toBe(true);
  });

  it('burns to a no', async () => {
    const { burn } = createPasswordHasher({ parameters: CHEAP });
    expect(await burn(password)).toBe(false);
    expect(await burn('')).toBe(false);
  });
});

describe('rehashing', () => {
  const { needsRehash } = createPasswordHasher();
  const { memoryKib, passes, lanes } = CURRENT_PARAMETERS;

  async function store(options: Parameters<typeof argon2>[1]): Promise<string> {
    return argon2(password, { memoryCost: memoryKib, timeCost: passes, parallelism: lanes, ...options });
  }

  it('leaves what is as strong as today or stronger', async () => {
    expect(needsRehash(await store({}))).toBe(false);
    expect(
      needsRehash(await store({ memoryCost: memoryKib + 1, timeCost: passes + 1, parallelism: lanes + 1 })),
    ).toBe(false);
  });

  it('replaces what is lower in any parameter, or not argon2id of version 19', async () => {
    expect(needsRehash(await store({ memoryCost: memoryKib - 1 }))).toBe(true);
    expect(needsRehash(await store({ timeCost: passes - 1 }))).toBe(true);
    expect(needsRehash(await store({ timeCost: passes + 1, memoryCost: memoryKib - 1 }))).toBe(true);
    expect(needsRehash(await store({ outputLen: 16 }))).toBe(true);
    expect(needsRehash(await store({ salt: Buffer.from('8 bytes.') }))).toBe(true);
    expect(needsRehash((await store({})).replace('argon2id', 'argon2i'))).toBe(true);
    expect(needsRehash((await store({})).replace('v=19', 'v=16'))).toBe(true);
  });

  it('follows the parameters when they rise', async () => {
    const phc = await createPasswordHasher({ parameters: { memoryKib: 64, passes: 1, lanes: 1 } }).hash(
      password,
    );
    expect(
      createPasswordHasher({ parameters: { memoryKib: 64, passes: 2, lanes: 1 } }).needsRehash(phc),
    ).toBe(true);
    expect(
      createPasswordHasher({ parameters: { memoryKib: 64, passes: 1, lanes: 1 } }).needsRehash(phc),
    ).toBe(false);
  });
});

describe('the places for hashing', () => {
  afterEach(() => void vi.useRealTimers());

  it('never runs more at once than there are places', async () => {
    const { hash, verify, burn, load } = createPasswordHasher({
      maxConcurrent: 2,
      maxWaitMs: 60_000,
      parameters: CHEAP,
    });
    const phc = await hash(password);
    const calls = [
      verify(phc, password),
      burn(password),
      hash(password),
      verify('broken', password),
      burn(password),
    ];
    expect(load()).toMatchObject({ running: 2, waiting: 3 });
    await Promise.all(calls.map((call) => call.then(() => expect(load().running).toBeLessThanOrEqual(2))));
    expect(load()).toMatchObject({ running: 0, waiting: 0 });
  });

  it('serves first who came first', async () => {
    const { burn } = createPasswordHasher({ maxConcurrent: 1, maxWaitMs: 60_000, parameters: CHEAP });
    const served: number[] = [];
    await Promise.all([0, 1, 2, 3, 4, 5].map((turn) => burn(password).then(() => served.push(turn))));
    expect(served).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('refuses who has waited too long, and gives the place to who still waits', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { burn, load } = createPasswordHasher({ maxConcurrent: 1, maxWaitMs: 2000 });
    const running = burn(password);
    const early = burn(password);
    const refusal = expect(early).rejects.toEqual(busy);
    vi.advanceTimersByTime(1999);
    const late = burn(password);
    expect(load()).toMatchObject({ running: 1, waiting: 2 });
    vi.advanceTimersByTime(1);
    expect(load()).toMatchObject({ running: 1, waiting: 1 });
    await refusal;
    expect(await running).toBe(false);
    expect(await late).toBe(false);
    expect(load()).toMatchObject({ running: 0, waiting: 0 });
  });

  it('frees the place of a hash that fails', async () => {
    const impossible = { memoryKib: 1, passes: 1, lanes: 1 };
    const { hash, load } = createPasswordHasher({ maxConcurrent: 1, parameters: impossible });
    await expect(hash(password)).rejects.toThrow();
    expect(load()).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe('the permits for logins', () => {
  /** Hashes that take no time to speak of, and a wait that is four times enough for `permits` of those that are assumed at first. */
  function createSmall(permits: number) {
    const assumedHashMs = 8 / 2000;
    const maxWaitMs = 4 * assumedHashMs * (permits - 1 + 0.5);
    return createPasswordHasher({ maxConcurrent: 1, maxWaitMs, parameters: CHEAP });
  }

  const endless = () => new Promise<never>(() => undefined);

  it('are as many as can be hashed in a quarter of the wait', async () => {
    for (const permits of [1, 4, 50]) {
      const { admit, load } = createSmall(permits);
      for (let taken = 0; taken < permits; taken += 1) void admit(`network-${taken}`, endless);
      await expect(admit('another', endless)).rejects.toEqual(busy);
      expect(load()).toEqual({ running: 0, waiting: 0, admitted: permits });
    }
  });

  it('are refused at once, before any work, with an AuthError that says when to come back', async () => {
    const { admit } = createSmall(1);
    void admit('one', endless);
    const work = vi.fn(endless);
    const refusal = await admit('other', work).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(AuthError);
    expect(refusal).toEqual(busy);
    expect(work).not.toHaveBeenCalled();
  });

  it('are free again when the login has ended, however it ended', async () => {
    const { admit, load } = createSmall(1);
    expect(await admit('one', () => Promise.resolve('done'))).toBe('done');
    await expect(admit('one', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(load().admitted).toBe(0);
    expect(await admit('other', () => Promise.resolve('done'))).toBe('done');
  });

  it('are shared with others by a network that floods, alone or not', async () => {
    const { admit, load } = createSmall(30);
    const flood = (network: string) =>
      Promise.allSettled(
        Array.from({ length: 100 }, () => Promise.race([admit(network, endless), Promise.resolve()])),
      );
    await flood('one');
    expect(load().admitted).toBe(15);
    await flood('two');
    expect(load().admitted).toBe(23);
    await flood('three');
    expect(load().admitted).toBe(27);
    for (const network of ['four', 'five', 'six']) void admit(network, endless);
    expect(load().admitted).toBe(30);
  });

  it('are none where nothing may be hashed', async () => {
    await expect(createPasswordHasher({ maxConcurrent: 0 }).admit('one', endless)).rejects.toEqual(busy);
  });

  it('become fewer the longer hashes take, but never fewer than hash at once', () => {
    expect(countPermits(2, 1000, 10)).toBe(2 * (1 + 25));
    expect(countPermits(2, 1000, 100)).toBe(2 * (1 + 2));
    expect(countPermits(2, 1000, 1000)).toBe(2);
  });
});
