import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { hash as argon2 } from '@node-rs/argon2';
import fc from 'fast-check';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AuthError } from '../../../src/domain/errors.js';
import {
  createPasswordHasher,
  CURRENT_PARAMETERS,
  defaultConcurrency,
  preparePassword,
} from '../../../src/domain/passwords/hasher.js';
import { networkOf } from '../../../src/domain/networks.js';
import { countPermits, createPermits } from '../../../src/domain/passwords/admission.js';

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
      createPasswordHasher({ parameters: { memoryKib: 64, passes: 1, lanes: 2 } }).needsRehash(phc),
    ).toBe(true);
    expect(
      createPasswordHasher({ parameters: { memoryKib: 64, passes: 1, lanes: 1 } }).needsRehash(phc),
    ).toBe(false);
  });
});

describe('hashes at once', () => {
  it.each([
    [1, 1, 1],
    [2, 1, 1],
    [3, 1, 2],
    [4, 1, 3],
    [64, 1, 3],
    [9, 4, 2],
    [8, 4, 1],
    [2, 8, 1],
  ])('on %i cores, shared by %i processes, are %i in each', (cores, sharers, most) => {
    const count = vi.spyOn(os, 'availableParallelism').mockReturnValue(cores);
    onTestFinished(() => {
      count.mockRestore();
      syncBuiltinESMExports();
    });
    syncBuiltinESMExports();
    expect(defaultConcurrency(sharers)).toBe(most);
    if (sharers === 1) expect(defaultConcurrency()).toBe(most);
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
    const why = { cause: { message: 'no slot for hashing came free in time', lack: 'hashing' } };
    const refusal = Promise.all([
      expect(early).rejects.toEqual(busy),
      expect(early).rejects.toMatchObject(why),
    ]);
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
  function createSmall(permits: number, passes = 1) {
    const assumedHashMs = (8 * passes) / 2000;
    const maxWaitMs = 4 * assumedHashMs * (permits - 1 + 0.5);
    return createPasswordHasher({ maxConcurrent: 1, maxWaitMs, parameters: { ...CHEAP, passes } });
  }

  const endless = () => new Promise<never>(() => undefined);

  it('are as many as can be hashed in a quarter of the wait', async () => {
    for (const [permits, passes] of [
      [1, 1],
      [4, 1],
      [50, 1],
      [4, 3],
    ] as const) {
      const { admit, load } = createSmall(permits, passes);
      for (let taken = 0; taken < permits; taken += 1) void admit(`10.0.${taken}.1`, endless);
      await expect(admit('192.0.2.1', endless)).rejects.toEqual(busy);
      expect(load()).toEqual({ running: 0, waiting: 0, admitted: permits, limit: permits });
    }
  });

  it('are refused at once, before any work, with an AuthError that says when to come back', async () => {
    const { admit } = createSmall(1);
    void admit('192.0.2.1', endless);
    const work = vi.fn(endless);
    const refusal = await admit('198.51.100.1', work).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(AuthError);
    expect(refusal).toEqual(busy);
    const why = { message: 'more logins than can be hashed in time', lack: 'hashing' };
    expect(refusal).toMatchObject({ cause: why });
    expect(work).not.toHaveBeenCalled();
  });

  it('are free again when the login has ended, however it ended', async () => {
    const { admit, load } = createSmall(1);
    expect(await admit('192.0.2.1', () => Promise.resolve('done'))).toBe('done');
    await expect(admit('192.0.2.1', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(load().admitted).toBe(0);
    expect(await admit('198.51.100.1', () => Promise.resolve('done'))).toBe('done');
  });

  it('are shared with others by a network that floods, alone or not', async () => {
    const { admit, load } = createSmall(30);
    const flood = (network: string) =>
      Promise.allSettled(
        Array.from({ length: 100 }, () => Promise.race([admit(network, endless), Promise.resolve()])),
      );
    await flood('192.0.2.1');
    expect(load().admitted).toBe(15);
    await flood('198.51.100.1');
    expect(load().admitted).toBe(23);
    await flood('2001:db8::/64');
    expect(load().admitted).toBe(27);
    for (const network of ['10.0.1.1', '10.0.2.1', '2001:db8:1::/64']) void admit(network, endless);
    expect(load().admitted).toBe(30);
  });

  it.each([
    ['an IPv6 /56', (number: number) => `2001:db8:0:${number.toString(16)}::/64`],
    ['an IPv6 /48', (number: number) => `2001:db8:0:${number.toString(16)}00::/64`],
    ['an IPv4 /24', (number: number) => `192.0.2.${number}`],
    ['an IPv4 /24, mapped', (number: number) => `::ffff:192.0.2.${number}`],
  ])('are shared with others by the networks of %s', (_block, nameOf) => {
    const { admit, assertFree, load } = createSmall(30);
    for (let number = 0; number < 100; number += 1) void admit(nameOf(number), endless).catch(() => null);
    expect(load().admitted).toBe(15);
    expect(() => assertFree(nameOf(200))).toThrow(AuthError);
    for (const other of ['2001:db8:1::/64', '192.0.3.1']) void admit(other, endless);
    expect(load().admitted).toBe(17);
  });

  it('are held to no more than half by any block, whatever comes and goes, and are had by others as long as one is free', async () => {
    const address = fc
      .tuple(fc.constantFrom('2001:db8:1', '2001:db8:2'), fc.nat(2), fc.nat(2), fc.nat(2))
      .map(([site, line, net, host]) => ({
        ip: `${site}:${line}0${net}::${host}`,
        blocks: [site, `${site}:${line}`, `${site}:${line}0${net}`],
      }));
    const v4 = fc.tuple(fc.nat(2), fc.nat(3)).map(([net, host]) => ({
      ip: `192.0.${net}.${host}`,
      blocks: [`192.0.${net}`, `192.0.${net}.${host}`],
    }));
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ comes: fc.oneof(address, v4) }) },
      { weight: 1, arbitrary: fc.record({ goes: fc.nat(50) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(step, { maxLength: 120 }),
        async (count, steps) => {
          const permits = createPermits(() => count);
          const inside: { blocks: string[]; leave: () => void; left: Promise<void> }[] = [];
          for (const one of steps) {
            if ('comes' in one) {
              const { ip, blocks } = one.comes;
              let leave = (): void => undefined;
              const before = permits.taken();
              const left = permits.admit(
                networkOf(ip),
                () => new Promise<void>((resolve) => (leave = resolve)),
              );
              if (permits.taken() > before) inside.push({ blocks, leave, left });
              else {
                await expect(left).rejects.toEqual(busy);
                const free = count - before;
                const fullest = Math.max(...blocks.map((block) => countIn(inside, block)));
                expect(fullest).toBeGreaterThanOrEqual(free);
              }
            } else {
              const [gone] = inside.splice(one.goes, 1);
              gone?.leave();
              await gone?.left;
            }
            for (const block of new Set(inside.flatMap(({ blocks }) => blocks)))
              expect(countIn(inside, block)).toBeLessThanOrEqual(Math.ceil(count / 2));
            if (permits.taken() < count) expect(() => permits.assertFree('198.51.100.1')).not.toThrow();
            expect(permits.taken()).toBe(inside.length);
          }
        },
      ),
    );
  });

  it('are none where nothing may be hashed', async () => {
    await expect(createPasswordHasher({ maxConcurrent: 0 }).admit('192.0.2.1', endless)).rejects.toEqual(
      busy,
    );
  });

  it('become fewer the longer hashes take, but never fewer than hash at once', () => {
    expect(countPermits(2, 1000, 10)).toBe(2 * (1 + 25));
    expect(countPermits(2, 1000, 100)).toBe(2 * (1 + 2));
    expect(countPermits(2, 1000, 1000)).toBe(2);
  });
});

function countIn(inside: { blocks: string[] }[], block: string): number {
  return inside.filter(({ blocks }) => blocks.includes(block)).length;
}
