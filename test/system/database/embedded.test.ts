// The embedded PostgreSQL: made, shared, left, found again after accidents, and refused in one line.
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { enterEmbedded } from '../../../src/database/embedded.js';
import { migrate } from '../../../src/database/migrate.js';
import { StartError } from '../../../src/database/start-error.js';
import { ask, useDataDir } from '../../support/data-dir.js';
import { placeMadeDatabase } from '../../support/made-database.js';
import { isRunning } from '../../support/processes.js';

const data = useDataDir('däta dir', 'here');

/** The process that runs the server, or undefined when none does. */
async function findPid(): Promise<number | undefined> {
  const text = await readFile(join(data.path, 'postgres/postmaster.pid'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.split('\n', 1)[0]);
}

async function modeOf(...path: string[]): Promise<string> {
  return ((await stat(join(data.path, ...path))).mode & 0o777).toString(8);
}

/** What a killed process does to its connections: PostgreSQL is left running, and nobody is inside. */
async function orphan(): Promise<void> {
  const visitor = await enterEmbedded(data.path, 'visitor');
  await ask(
    visitor.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gatehouse visitor%'`,
  );
}

describe('the embedded database', () => {
  it('starts in an empty place, private and able', async () => {
    const service = await data.enter('service');
    expect(await migrate(service.url)).not.toEqual([]);
    expect([await modeOf(), await modeOf('postgres'), await modeOf('postgres.password')]).toEqual([
      '700',
      '700',
      '600',
    ]);
    const settings = ['listen_addresses', 'server_encoding', 'data_checksums', 'fsync', 'synchronous_commit'];
    const values = await Promise.all(
      settings.map(async (name) => (await ask(service.url, `SHOW ${name}`))[0]),
    );
    expect(values).toEqual(['', 'UTF8', 'on', 'on', 'on']);
    expect(await ask(service.url, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user')).toEqual([
      false,
    ]);
  });

  it('lets nobody in without the password, and the superuser never', async () => {
    await placeMadeDatabase(data.path);
    const url = new URL((await data.enter('service')).url);
    url.password = 'guess';
    await expect(ask(url.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    url.username = 'postgres';
    await expect(ask(url.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  it('keeps its data when it is stopped and started again', async () => {
    const first = await data.enter('service');
    await migrate(first.url);
    await ask(first.url, 'UPDATE service SET epoch = 7');
    await first.leave();
    expect(await findPid()).toBeUndefined();
    const startedAt = performance.now();
    const second = await data.enter('service');
    expect(performance.now() - startedAt).toBeLessThan(60_000);
    expect(await ask(second.url, 'SELECT epoch FROM service')).toEqual(['7']);
  });

  it('lives in a session of its own, out of reach of Ctrl-C', async (context) => {
    if (process.platform !== 'linux') return context.skip();
    await placeMadeDatabase(data.path);
    await data.enter('visitor');
    const pid = await findPid();
    const fields = (await readFile(`/proc/${String(pid)}/stat`, 'utf8')).split(') ')[1]?.split(' ');
    expect(fields?.[3]).toBe(String(pid));
  });
});

describe('who is inside', () => {
  it('refuses a second service and says what to do', async () => {
    await placeMadeDatabase(data.path);
    await data.enter('service');
    const second = enterEmbedded(data.path, 'service');
    await expect(second).rejects.toThrow(StartError);
    await expect(second).rejects.toThrow(
      /Another Gatehouse already serves from .*here\. Set DATA_DIR .* or DATABASE_URL/,
    );
    expect(await findPid()).toBeDefined();
  });

  it('lets a visitor come and go while the service runs', async () => {
    await placeMadeDatabase(data.path);
    const service = await data.enter('service');
    const pid = await findPid();
    const visitor = await data.enter('visitor');
    expect(visitor.url).toBe(service.url);
    await visitor.leave();
    expect(await findPid()).toBe(pid);
  });

  it('starts and stops PostgreSQL for a visitor alone', async () => {
    await placeMadeDatabase(data.path);
    const visitor = await data.enter('visitor');
    expect(await ask(visitor.url, 'SELECT 1')).toEqual([1]);
    await visitor.leave();
    expect(await findPid()).toBeUndefined();
  });

  it('stays up for a service that came while a visitor was inside', async () => {
    await placeMadeDatabase(data.path);
    const visitor = await data.enter('visitor');
    const service = await data.enter('service');
    await visitor.leave();
    expect(await ask(service.url, 'SELECT 1')).toEqual([1]);
    await service.leave();
    expect(await findPid()).toBeUndefined();
  });

  it('stops when the last two leave at once, and leaving twice is leaving once', async () => {
    await placeMadeDatabase(data.path);
    const both = [await data.enter('visitor'), await data.enter('service')];
    await Promise.all([...both, ...both].map((database) => database.leave()));
    expect(await findPid()).toBeUndefined();
  });

  it('lets several first starts at once end up in one cluster', async () => {
    const all = await Promise.all([data.enter('visitor'), data.enter('service'), data.enter('visitor')]);
    expect(new Set(all.map(({ url }) => url)).size).toBe(1);
    const drafts = (await readdir(data.path)).filter((name) => name.startsWith('postgres.new-'));
    expect(drafts).toEqual([]);
  });

  it('lets those in who come while the last one leaves', async () => {
    await placeMadeDatabase(data.path);
    const first = await data.enter('service');
    const [, second] = await Promise.all([first.leave(), data.enter('service')]);
    expect(await ask(second.url, 'SELECT 1')).toEqual([1]);
  });
});

describe('after an accident', () => {
  it('adopts a server that a killed process left behind', async () => {
    await placeMadeDatabase(data.path);
    await orphan();
    const pid = await findPid();
    expect(pid).toBeDefined();
    const service = await data.enter('service');
    expect(await findPid()).toBe(pid);
    await service.leave();
    expect(await findPid()).toBeUndefined();
  });

  it('starts a server that was killed again, on the same URL', async () => {
    await placeMadeDatabase(data.path);
    const service = await data.enter('service');
    await ask(service.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = await findPid();
    process.kill(Number(pid), 'SIGKILL');
    await expect
      .poll(() => ask(service.url, 'SELECT answer FROM kept').catch(() => []), { timeout: 30_000 })
      .toEqual([42]);
    expect(await findPid()).not.toBe(pid);
    // The service takes its locks again a moment after the server is there: its presence, and being the only one.
    const locks = `SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND granted`;
    await expect.poll(() => ask(service.url, locks), { timeout: 30_000 }).toEqual([2]);
    await expect(enterEmbedded(data.path, 'service')).rejects.toThrow(/already serves/);
    await service.leave();
    expect(await findPid()).toBeUndefined();
  });

  it('does not start it again once it has left', async () => {
    await placeMadeDatabase(data.path);
    const service = await data.enter('service');
    const pid = Number(await findPid());
    const leaving = service.leave();
    process.kill(pid, 'SIGKILL');
    await leaving;
    await expect.poll(() => isRunning(pid)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 500));
    // One that was killed leaves its file behind.
    expect([undefined, pid]).toContain(await findPid());
  });

  it('is not deceived by the file of a server that ended with the power', async () => {
    await placeMadeDatabase(data.path);
    const file = join(data.path, 'postgres/postmaster.pid');
    // Our own parent: a process that lives and is no server of this cluster.
    await writeFile(
      file,
      `${process.ppid}\n${join(data.path, 'postgres')}\n1\n20000\n\n127.0.0.1\n 1 1\nready   \n`,
    );
    const service = await data.enter('service');
    expect(await ask(service.url, 'SELECT 1')).toEqual([1]);
  });

  it('begins anew after a set-up that was interrupted', async () => {
    await mkdir(join(data.path, 'postgres.new-123456'), { recursive: true, mode: 0o700 });
    await writeFile(join(data.path, 'postgres.new-123456', 'PG_VERSION'), '18\n');
    expect(await ask((await data.enter('visitor')).url, 'SELECT 1')).toEqual([1]);
    expect(await readdir(data.path)).not.toContain('postgres.new-123456');
  });
});

describe('it refuses, in one line,', () => {
  async function refusal(): Promise<string> {
    const error: unknown = await data.enter('service').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StartError);
    expect((error as StartError).message).not.toContain('\n');
    return (error as StartError).message;
  }

  it('a directory that others use', async () => {
    await mkdir(data.path, { recursive: true, mode: 0o755 });
    await writeFile(join(data.path, 'theirs'), '');
    expect(await refusal()).toMatch(/is open to other users/);
  });

  it('a file in the place of the directory', async () => {
    await mkdir(join(data.path, '..'), { recursive: true });
    await writeFile(data.path, '');
    expect(await refusal()).toMatch(/^DATA_DIR .* cannot be used/);
  });

  it('a password that does not fit', async () => {
    await placeMadeDatabase(data.path);
    await writeFile(join(data.path, 'postgres.password'), 'other\n');
    expect(await refusal()).toMatch(/does not open the embedded PostgreSQL/);
    expect(await findPid()).toBeUndefined();
  });

  it('a cluster of another major version', async () => {
    await mkdir(join(data.path, 'postgres'), { recursive: true, mode: 0o700 });
    await writeFile(join(data.path, 'postgres/PG_VERSION'), '17\n');
    expect(await refusal()).toMatch(/made by PostgreSQL 17/);
  });
});
