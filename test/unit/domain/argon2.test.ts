// argon2 in processes of its own: who they are, and what becomes of work when they are held up or end.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { createArgon2, type Argon2 } from '../../../src/domain/passwords/argon2.js';
import { isRunning } from '../../support/processes.js';

const CHEAP = { memoryCost: 8, timeCost: 1, parallelism: 1 };

/** Busy cores let nobody pass for starved. */
const PATIENT = { startMs: 60_000, hashMs: 60_000 };

let argon2: Argon2;
let before: Set<number>;

beforeEach(async () => {
  before = new Set((await listChildren()).map(({ pid }) => pid));
  argon2 = createArgon2(10, PATIENT);
});
afterEach(() => argon2.close());

interface Child {
  pid: number;
  /** Scheduling class, as ps writes it. */
  scheduling: string;
}

async function listChildren(): Promise<Child[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,cls=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, scheduling]) => Number(parent) === process.pid && scheduling !== 'ps')
    .map(([pid = '', , scheduling = '']) => ({ pid: Number(pid), scheduling }));
}

/** Those that hash for this test; `ps` itself is gone when they are asked. */
async function hashers(): Promise<Child[]> {
  const found = (await listChildren()).filter(({ pid }) => !before.has(pid));
  const alive = found.filter(({ pid }) => isRunning(pid));
  return alive.sort((a, b) => a.pid - b.pid);
}

it('hashes and verifies', async () => {
  const phc = await argon2.hash('a password', CHEAP);
  expect(await argon2.verify(phc, 'a password')).toBe(true);
  expect(await argon2.verify(phc, 'another password')).toBe(false);
  expect(await hashers()).toHaveLength(1);
});

it('tells what argon2 throws, and goes on', async () => {
  await expect(argon2.verify('no hash', 'a password')).rejects.toThrow();
  expect(await argon2.hash('a password', CHEAP)).toContain('$argon2id$');
  expect(await hashers()).toHaveLength(1);
});

it.runIf(process.platform === 'linux')('runs when nobody else wants the core', async () => {
  await argon2.hash('a password', CHEAP);
  expect((await hashers()).map(({ scheduling }) => scheduling)).toEqual(['IDL']);
});

it('works at once with as many as it is asked at once', async () => {
  await Promise.all([1, 2, 3].map(() => argon2.hash('a password', CHEAP)));
  expect(await hashers()).toHaveLength(3);
});

describe('what it takes a hash to take', () => {
  async function openAssuming(assumedMs: number): Promise<void> {
    await argon2.close();
    argon2 = createArgon2(assumedMs, PATIENT);
    expect(argon2.hashMs()).toBe(assumedMs);
  }

  it('follows those before it by an eighth of the difference', async () => {
    await openAssuming(1e6);
    const startedAtMs = performance.now();
    await argon2.hash('a password', CHEAP);
    const mostMs = performance.now() - startedAtMs;
    expect(argon2.hashMs()).toBeGreaterThan(1e6 * (7 / 8));
    expect(argon2.hashMs()).toBeLessThan(1e6 * (7 / 8) + mostMs / 8);
  });

  it('rises for one that was held up as for one that takes twice as long', async () => {
    // Compared with so little, each of them is held up.
    await openAssuming(1e-6);
    await argon2.hash('a password', CHEAP);
    expect(argon2.hashMs() / 1e-6).toBeCloseTo(9 / 8);
    await argon2.hash('a password', CHEAP);
    expect(argon2.hashMs() / 1e-6).toBeCloseTo((9 / 8) ** 2);
  });

  it('is told by no hash that failed', async () => {
    await openAssuming(1e6);
    await expect(argon2.verify('no hash', 'a password')).rejects.toThrow();
    expect(argon2.hashMs()).toBe(1e6);
  });
});

it('asks for a share of its own when it gets nothing', async () => {
  await argon2.close();
  argon2 = createArgon2(10, { ...PATIENT, hashMs: 200 });
  await argon2.hash('a password', CHEAP);
  const [starved] = await hashers();
  process.kill(starved?.pid ?? 0, 'SIGSTOP');
  const held = argon2.hash('a password', CHEAP);
  await sleep(400);
  expect(await argon2.hash('another password', CHEAP)).toContain('$argon2id$');
  expect((await hashers()).map(({ scheduling }) => scheduling)).toEqual(['IDL', 'TS']);
  process.kill(starved?.pid ?? 0, 'SIGCONT');
  expect(await held).toContain('$argon2id$');
});

it('takes no process for starved whose hashes end in time, however much later', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  for (const patienceMs of [PATIENT.startMs, PATIENT.hashMs]) {
    await argon2.hash('a password', CHEAP);
    vi.advanceTimersByTime(patienceMs);
  }
  await Promise.all([1, 2].map(() => argon2.hash('a password', CHEAP)));
  expect(new Set((await hashers()).map(({ scheduling }) => scheduling)).size).toBe(1);
});

it('takes a process for starved after 2 s of a start or 200 ms of a hash, unless it is told otherwise', async () => {
  await argon2.close();
  argon2 = createArgon2(10);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const scheduling = async () => (await hashers()).map(({ scheduling }) => scheduling).sort();

  // No answer comes in between: the clock moves on, and no turn of the event loop passes.
  const early = argon2.hash('a password', CHEAP);
  vi.advanceTimersByTime(1999);
  await Promise.all([early, argon2.hash('another password', CHEAP)]);
  expect(await scheduling()).toEqual(['IDL', 'IDL']);

  const late = argon2.hash('a password', CHEAP);
  vi.advanceTimersByTime(199);
  await Promise.all([late, argon2.hash('another password', CHEAP)]);
  expect(await scheduling()).toEqual(['IDL', 'IDL']);
  const starved = argon2.hash('a password', CHEAP);
  vi.advanceTimersByTime(200);
  await Promise.all([starved, argon2.hash('another password', CHEAP)]);
  expect(await scheduling()).toEqual(['IDL', 'IDL', 'TS']);

  // After 10 s the others are tried again, and get what they need.
  vi.advanceTimersByTime(9_999);
  await Promise.all([1, 2].map(() => argon2.hash('a password', CHEAP)));
  expect(await scheduling()).toEqual(['IDL', 'IDL', 'TS', 'TS']);
  vi.advanceTimersByTime(1);
  await Promise.all([1, 2, 3].map(() => argon2.hash('a password', CHEAP)));
  expect(await scheduling()).toEqual(['IDL', 'IDL', 'IDL', 'TS', 'TS']);
});

it('forgets each answer once it is there', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  onTestFinished(() => void process.off('warning', note));
  // Node warns of eleven that listen to the same process.
  for (let n = 0; n < 12; n += 1) await argon2.hash('a password', CHEAP);
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
});

it('says that nothing can be hashed where no process can be started, and goes on when one can', async () => {
  const { execPath } = process;
  onTestFinished(() => void (process.execPath = execPath));
  process.execPath = '/nowhere/node';
  const why = 'the process that hashes has ended, or cannot be started';
  await expect(argon2.hash('a password', CHEAP)).rejects.toMatchObject({
    code: 'temporarily_unavailable',
    cause: { message: why, lack: 'hashing' },
  });
  process.execPath = execPath;
  expect(await argon2.hash('a password', CHEAP)).toContain('$argon2id$');
});

it('fails what a process was doing that ends, and goes on with another', async () => {
  await argon2.hash('a password', CHEAP);
  const [only] = await hashers();
  process.kill(only?.pid ?? 0, 'SIGSTOP');
  const lost = argon2.hash('a password', CHEAP);
  process.kill(only?.pid ?? 0, 'SIGKILL');
  await expect(lost).rejects.toMatchObject({ code: 'temporarily_unavailable' });
  expect(await argon2.hash('a password', CHEAP)).toContain('$argon2id$');
});

it('asks no process that has ended while it was free', async () => {
  await argon2.hash('a password', CHEAP);
  const [only] = await hashers();
  process.kill(only?.pid ?? 0, 'SIGKILL');
  await expect.poll(hashers).toEqual([]);
  expect(await argon2.hash('a password', CHEAP)).toContain('$argon2id$');
});

it('goes on with those that are free when one of them has ended', async () => {
  await Promise.all([1, 2].map(() => argon2.hash('a password', CHEAP)));
  const [one, other] = await hashers();
  process.kill(one?.pid ?? 0, 'SIGKILL');
  await expect.poll(async () => (await hashers()).map(({ pid }) => pid)).toEqual([other?.pid]);
  await argon2.hash('a password', CHEAP);
  expect((await hashers()).map(({ pid }) => pid)).toEqual([other?.pid]);
});

it('leaves no process behind when it is closed', async () => {
  await Promise.all([1, 2].map(() => argon2.hash('a password', CHEAP)));
  const open = await hashers();
  await argon2.close();
  expect(open.map(({ pid }) => isRunning(pid))).toEqual([false, false]);
});

it.runIf(process.platform === 'linux')('hands the process no environment of ours and no flags', async () => {
  process.env['GATEHOUSE_TEST_SECRET'] = 'a secret of the service';
  await argon2.hash('a password', CHEAP).finally(() => delete process.env['GATEHOUSE_TEST_SECRET']);
  const [only] = await hashers();
  const read = async (name: string) =>
    (await readFile(`/proc/${only?.pid ?? 0}/${name}`, 'utf8')).split('\0').filter((entry) => entry !== '');
  const environment = (await read('environ')).map((entry) => entry.replace(/=.*/, ''));
  expect(environment.filter((name) => !/^NODE_CHANNEL_/.test(name))).toEqual(['PATH']);
  const [program, file, ...rest] = await read('cmdline');
  expect(program).toBe(process.execPath);
  expect(file).toBe(resolve('dist/background/hasher.js'));
  expect(rest).toEqual(['idle']);
});
