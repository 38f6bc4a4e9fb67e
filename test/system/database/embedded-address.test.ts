// Where the embedded PostgreSQL listens: on a socket that only its owner reaches, whatever the path of DATA_DIR.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import {
  authorityOf,
  chooseAddress,
  choosePort,
  secureAddress,
  settingsFor,
} from '../../../packages/local-postgres/src/address.js';
import type { Cluster } from '../../../packages/local-postgres/src/cluster.js';
import { openDataDirectory } from '../../../packages/local-postgres/src/data-directory.js';
import { findPostmaster, startPostmaster } from '../../../packages/local-postgres/src/server.js';
import { enterEmbedded } from '../../../src/database/embedded.js';
import { ask, useDataDir } from '../../support/data-dir.js';
import { HOSTILE_VARIABLES } from '../../support/pg-variables.js';
import { placeMadeDatabase } from '../../support/made-database.js';
import { isRunning } from '../../support/processes.js';

const OLD_ACCESS_RULES = 'host all all 127.0.0.1/32 scram-sha-256\n';

const data = useDataDir('data');
// Before the data directory goes: hooks that end a test run in the reverse order.
afterEach(() => void vi.unstubAllEnvs());

async function findServer() {
  return await findPostmaster({ directory: join(await realpath(data.path), 'postgres') });
}

function directoryOf(url: string): string {
  return decodeURIComponent(new URL(url).hostname);
}

/** A path of so many bytes or more. */
function longPath(bytes: number): string {
  let path = data.parent;
  while (Buffer.byteLength(path) < bytes) path = join(path, 'a-folder-with-a-long-name');
  return path;
}

/** A cluster that nobody has made, for what only asks where it would be. */
async function clusterAt(directory: string): Promise<Cluster> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const launcher = { owner: undefined, reachesAll: true, prefix: [], identity: {} };
  return { directory, binaries: { initdb: '', postgres: '' }, launcher, settings: {} };
}

describe('the address', () => {
  it.each([
    ['linux', 107],
    ['darwin', 103],
  ] as const)(
    'on %s is in the cluster up to %i bytes, and among the temporary files beyond',
    async (platform, most) => {
      const fits = join(
        data.parent,
        'x'.repeat(most - '/.s.PGSQL.5432'.length - Buffer.byteLength(data.parent) - 1),
      );
      expect(await chooseAddress(await clusterAt(fits), platform)).toEqual({ directory: fits });
      const beyond = await chooseAddress(await clusterAt(`${fits}y`), platform);
      if (!('directory' in beyond)) throw new Error('a port');
      expect(dirname(beyond.directory)).toBe(tmpdir());
      expect((await lstat(beyond.directory)).mode & 0o777).toBe(0o700);
      await rm(beyond.directory, { recursive: true });
    },
  );

  it('on Windows is a port of 127.0.0.1', async () => {
    const address = await chooseAddress(await clusterAt(join(data.parent, 'postgres')), 'win32');
    expect(address).toEqual({ port: expect.any(Number) as number });
    expect(settingsFor(address)).toMatchObject({
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
    });
  });

  it('is in /tmp when TMPDIR is as long', async () => {
    vi.stubEnv('TMPDIR', longPath(120));
    await mkdir(longPath(120), { recursive: true });
    const address = await chooseAddress(await clusterAt(longPath(130)));
    if (!('directory' in address)) throw new Error('a port');
    expect(dirname(address.directory)).toBe('/tmp');
    expect(await readdir(longPath(120))).not.toContainEqual(expect.stringMatching(/^gatehouse-/));
    await rm(address.directory, { recursive: true });
  });

  it('is the one of the server before, if that was killed and its directory is still private', async () => {
    const cluster = await clusterAt(longPath(120));
    const before = join(data.parent, 'before');
    await mkdir(before, { mode: 0o700 });
    await writeFile(
      join(cluster.directory, 'postmaster.pid'),
      `1\n${cluster.directory}\n1\n5432\n${before}\n`,
    );
    expect(await chooseAddress(cluster)).toEqual({ directory: before });
    await chmod(before, 0o755);
    const other = await chooseAddress(cluster);
    expect(other).not.toEqual({ directory: before });
    if ('directory' in other) await rm(other.directory, { recursive: true });
  });

  it('is made anew where a cleaner has been, and refused where it is somebody else’s', async () => {
    const cluster = await clusterAt(join(data.parent, 'postgres'));
    const directory = join(data.parent, 'socket');
    await secureAddress(cluster, { directory });
    expect((await lstat(directory)).mode & 0o777).toBe(0o700);
    await chmod(directory, 0o777);
    await expect(secureAddress(cluster, { directory })).rejects.toThrow(/is not its owner's alone/);
    await rm(directory, { recursive: true });
    await symlink(cluster.directory, directory);
    await expect(secureAddress(cluster, { directory })).rejects.toThrow(/is not its owner's alone/);
  });

  it.each([
    '/plain',
    '/with space',
    '/per%cent%2F',
    '/at@sign',
    '/que?ry&x=1',
    '/ha#sh',
    '/ünïcödé/☃',
    '/c,o;m:ma',
    '/quo"te\'s',
    '/plus+[x]',
  ])('survives its way through a URL: %s', (directory) => {
    const url = `postgresql://gatehouse:a-b_c@${authorityOf({ directory })}/gatehouse`;
    expect(new pg.Client({ connectionString: url })).toMatchObject({
      host: directory,
      port: 5432,
      database: 'gatehouse',
    });
    expect(URL.canParse(url)).toBe(true);
  });
});

/** The ports on which a process listens. */
async function listTcp(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')));
  const rows = tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((row) => row.trim().split(/\s+/));
  return rows.filter((row) => inodes.has(row[9])).map((row) => String(row[1]));
}

/** What becomes of a connection that another account tries. */
async function tryAs(uid: number, path: string): Promise<string> {
  const program = `process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});
    require('node:net').connect(process.argv[1]).on('connect', () => (console.log('in'), process.exit()))
      .on('error', ({ code }) => console.log(code))`;
  return (await promisify(execFile)(process.execPath, ['-e', program, path])).stdout.trim();
}

describe.each([
  ['in the cluster', () => data.path],
  ['of a long DATA_DIR', () => longPath(120)],
])('the socket %s', (what, place) => {
  beforeEach(() => {
    data.path = place();
  });

  it('is all that PostgreSQL listens on, and nobody else gets to it', async (context) => {
    if (process.platform !== 'linux') return context.skip();
    await placeMadeDatabase(data.path);
    const { url } = await data.enter('service');
    const directory = directoryOf(url);
    const server = await findServer();
    expect(server?.address).toEqual({ directory });
    expect(directory.startsWith(data.path)).toBe(what === 'in the cluster');
    expect(await listTcp(Number(server?.pid))).toEqual([]);
    expect(await ask(url, 'SHOW listen_addresses')).toEqual(['']);

    const [cluster, found] = [await lstat(join(data.path, 'postgres')), await lstat(directory)];
    expect([found.mode & 0o777, found.uid]).toEqual([0o700, cluster.uid]);
    expect(await tryOpen(join(directory, '.s.PGSQL.5432'))).toBe('in');
    if (process.getuid?.() !== 0) return;
    // Up to the directory itself the way is open to everybody.
    for (let path = dirname(directory); path.startsWith(data.parent); path = dirname(path))
      await chmod(path, 0o755);
    expect(await tryAs(found.uid + 1, join(directory, '.s.PGSQL.5432'))).toBe('EACCES');
    expect(await tryAs(found.uid, join(directory, '.s.PGSQL.5432'))).toBe('in');
  });

  it('is one for several that start at once, and the others leave nothing behind', async () => {
    const temporary = join(data.parent, 'tmp');
    await mkdir(temporary, { mode: 0o755 });
    await chmod(data.parent, 0o755);
    vi.stubEnv('TMPDIR', temporary);
    const all = await Promise.all([data.enter('visitor'), data.enter('service'), data.enter('visitor')]);
    expect(new Set(all.map(({ url }) => url)).size).toBe(1);
    expect(await readdir(temporary)).toHaveLength(what === 'in the cluster' ? 0 : 1);
    for (const database of all) await database.leave();
    expect(await readdir(temporary)).toEqual([]);
  });

  it('is found by visitors, comes back after a crash, and goes with the last one', async () => {
    await placeMadeDatabase(data.path);
    const service = await data.enter('service');
    const visitor = await data.enter('visitor');
    expect(visitor.url).toBe(service.url);
    await visitor.leave();
    process.kill(Number((await findServer())?.pid), 'SIGKILL');
    await expect.poll(() => ask(service.url, 'SELECT 1').catch(() => []), { timeout: 60_000 }).toEqual([1]);
    const locks = `SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND granted`;
    await expect.poll(() => ask(service.url, locks), { timeout: 60_000 }).toEqual([2]);
    await service.leave();
    expect(await findServer()).toBeUndefined();
    expect(existsSync(join(directoryOf(service.url), '.s.PGSQL.5432'))).toBe(false);
    expect(existsSync(directoryOf(service.url))).toBe(what === 'in the cluster');
  });
});

function tryOpen(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve('in');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
  });
}

describe('it', () => {
  beforeEach(() => placeMadeDatabase(data.path));

  it('is one database, whichever of its names a symbolic link gives it', async () => {
    const service = await data.enter('service');
    await symlink(data.path, join(data.parent, 'link'));
    const visitor = await enterEmbedded(join(data.parent, 'link'), 'visitor');
    expect(visitor.url).toBe(service.url);
    await visitor.leave();
  });

  it('starts beside the socket that a container left behind, whose process numbers are others’ by now', async () => {
    const cluster = join(data.path, 'postgres');
    const { uid, gid } = await lstat(cluster);
    // PostgreSQL takes no notice of processes of other accounts.
    const other = spawn('sleep', ['600'], { uid, gid });
    onTestFinished(() => void other.kill());
    const lock = `${String(other.pid)}\n${cluster}\n1\n5432\n${cluster}\n`;
    await writeFile(join(cluster, '.s.PGSQL.5432.lock'), lock);
    await writeFile(join(cluster, '.s.PGSQL.5432'), '');
    expect(await ask((await data.enter('service')).url, 'SELECT 1')).toEqual([1]);
  });

  it('asks for the password on the socket too, in clusters of older versions as well', async () => {
    const rules = join(data.path, 'postgres', 'pg_hba.conf');
    for (const found of [OLD_ACCESS_RULES, 'local all all trust\n', '']) {
      await writeFile(rules, found);
      const visitor = await data.enter('visitor');
      const url = new URL(visitor.url);
      for (const [user, password] of [
        ['gatehouse', 'guess'],
        ['postgres', ''],
        ['postgres', url.password],
      ] as const) {
        const wrong = new URL(url);
        [wrong.username, wrong.password] = [user, password];
        await expect(ask(wrong.href, 'SELECT 1')).rejects.toThrow(/password/);
      }
      await visitor.leave();
    }
  });

  it('starts and serves as ever among hostile PG* variables', async () => {
    for (const [name, value] of HOSTILE_VARIABLES) vi.stubEnv(name, value);
    const { url } = await data.enter('service');
    expect(await ask(url, 'SELECT current_user::text')).toEqual(['gatehouse']);
  });
});

describe('a server that an older Gatehouse has started, on a port,', () => {
  beforeEach(() => placeMadeDatabase(data.path));

  async function startOld(): Promise<number> {
    const place = await openDataDirectory(data.path);
    await writeFile(join(place.path, 'postgres', 'pg_hba.conf'), OLD_ACCESS_RULES);
    const port = await choosePort(place.cluster);
    expect(await startPostmaster(place.cluster, { port })).toEqual({ is: 'ready' });
    return port;
  }

  it('is visited where it is', async () => {
    const port = await startOld();
    const visitor = await data.enter('visitor');
    expect(new URL(visitor.url).host).toBe(`127.0.0.1:${port}`);
    expect(await ask(visitor.url, 'SELECT 1')).toEqual([1]);
    await visitor.leave();
    expect(await findServer()).toBeUndefined();
  });

  it('makes room for one on a socket when a service comes and nobody is inside', async () => {
    await startOld();
    const old = await findServer();
    const service = await data.enter('service');
    expect((await findServer())?.address).toEqual({ directory: directoryOf(service.url) });
    expect(await ask(service.url, 'SELECT 1')).toEqual([1]);
    await expect.poll(() => isRunning(Number(old?.pid))).toBe(false);
  });

  it('is left to the visitors that it has: a service waits for them', async () => {
    await startOld();
    const visitor = await data.enter('visitor');
    const entering = data.enter('service');
    await expect
      .poll(
        () =>
          ask(
            visitor.url,
            `SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'gatehouse service%'`,
          ),
        { interval: 5, timeout: 60_000 },
      )
      .toEqual([true]);
    expect(await ask(visitor.url, 'SELECT 1')).toEqual([1]);
    await visitor.leave();
    expect(directoryOf((await entering).url)).toBe(join(data.path, 'postgres'));
  });
});

describe('a start that is called off', () => {
  beforeEach(() => placeMadeDatabase(data.path));

  it.each([
    ['before it began', () => true],
    ['while PostgreSQL starts', () => existsSync(join(data.path, 'postgres', 'postmaster.pid'))],
    ['while PostgreSQL recovers', () => existsSync(join(data.path, 'postgres', '.s.PGSQL.5432'))],
  ])('%s leaves none running', async (_when, isTime) => {
    const calling = new AbortController();
    const entering = enterEmbedded(data.path, 'service', calling.signal);
    const poll = setInterval(() => {
      if (isTime()) calling.abort(new Error('called off'));
    }, 1);
    const outcome = await entering.catch((error: unknown) => error as Error);
    clearInterval(poll);
    // One that was ready first is left as any other.
    if (outcome instanceof Error) expect(outcome.message).toBe('called off');
    else await outcome.leave();
    expect(await findServer()).toBeUndefined();
    expect(existsSync(join(data.path, 'postgres', 'postmaster.pid'))).toBe(false);
  });

  it('leaves one running that somebody else has joined', async () => {
    const visitor = await data.enter('visitor');
    const calling = AbortSignal.abort(new Error('called off'));
    await expect(enterEmbedded(data.path, 'service', calling)).rejects.toThrow('called off');
    expect(await ask(visitor.url, 'SELECT 1')).toEqual([1]);
  });
});
