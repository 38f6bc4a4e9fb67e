// deploy/compose without Docker: HAProxy with its file, and the scripts of the two PostgreSQL, with addresses of this machine.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { findPrograms } from '../../packages/lab/chaos/promotion/binaries.js';
import { findHaproxy } from '../../packages/lab/chaos/promotion/haproxy.js';
import { findFreePort } from '../../packages/lab/shared/ports.js';

const FOLDER = fileURLToPath(new URL('../../deploy/compose/', import.meta.url));

const haproxy = await findHaproxy();
const programs = await findPrograms();
/** CI installs both. */
const isExpected = process.env['CI'] !== undefined;
const mayRun = isExpected || (haproxy !== null && programs !== null);
if (!mayRun) console.warn('SKIPPED: there is no HAProxy here, or no PostgreSQL with pg_basebackup');

/** A copy is written to the disk in full, while other tests write there too. */
const PATIENT = { timeout: 120_000 };

/** PostgreSQL does not run as root, and nobody has no home to look into. */
const OWNER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** A gate for each name that is in the way: where the containers have names, this machine has ports. */
type Addresses = Record<
  'primary' | 'http' | 'postgres-a' | 'postgres-b' | 'gatehouse-a' | 'gatehouse-b',
  number
>;

let directory: string;
let ports: Addresses;
const children: ChildProcess[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-pair-'));
  const [primary, http, a, b] = await Promise.all(Array.from({ length: 4 }, () => findFreePort()));
  ports = {
    primary: Number(primary),
    http: Number(http),
    'postgres-a': Number(a),
    'postgres-b': Number(b),
    'gatehouse-a': 0,
    'gatehouse-b': 0,
  };
});
afterAll(async () => {
  await Promise.all(children.map((child) => stop(child)));
  await rm(directory, { recursive: true, force: true });
});

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(child.spawnfile === 'bash' ? 'SIGINT' : 'SIGTERM');
  await once(child, 'exit');
}

async function startHaproxy(): Promise<void> {
  let text = await readFile(join(FOLDER, 'haproxy.cfg'), 'utf8');
  text = text.replace('bind :5432', `bind 127.0.0.1:${ports.primary}`);
  text = text.replace('bind :3000', `bind 127.0.0.1:${ports.http}`);
  text = text.replaceAll(/\b(postgres|gatehouse)-([ab]):\d+/g, (_, what: string, name: string) => {
    return `127.0.0.1:${ports[`${what}-${name}` as keyof Addresses]}`;
  });
  const file = join(directory, 'haproxy.cfg');
  await writeFile(file, text);
  children.push(spawn(haproxy ?? 'haproxy', ['-db', '-q', '-f', file], { stdio: 'ignore' }));
}

describe.skipIf(!mayRun)('HAProxy in front of two replicas', () => {
  const ready = { a: true, b: true };
  const servers: Server[] = [];

  beforeAll(async () => {
    for (const name of ['a', 'b'] as const) {
      const server = createServer(({ url, headers }, response) => {
        response.statusCode = url === '/ready' && !ready[name] ? 503 : 200;
        response.end(`${name} ${String(headers['x-forwarded-for'])}`);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ports[`gatehouse-${name}`] = (server.address() as AddressInfo).port;
      servers.push(server);
    }
    await startHaproxy();
  });
  afterAll(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  /** Who answers ten requests; nobody where HAProxy itself does. */
  async function whoAnswers(): Promise<string[]> {
    const names = new Set<string>();
    for (let asked = 0; asked < 10; asked += 1) {
      const headers = { 'x-forwarded-for': '192.0.2.1' };
      const response = await fetch(`http://127.0.0.1:${ports.http}/session`, { headers }).catch(() => null);
      const text = await response?.text();
      names.add(response?.status === 200 ? String(text) : 'nobody');
    }
    return [...names].sort();
  }

  it.each([
    ['both, while both are ready', { a: true, b: true }, ['a 127.0.0.1', 'b 127.0.0.1']],
    ['the other, while one is not', { a: true, b: false }, ['a 127.0.0.1']],
    ['both, while neither is', { a: false, b: false }, ['a 127.0.0.1', 'b 127.0.0.1']],
    ['one alone again, once it is ready', { a: false, b: true }, ['b 127.0.0.1']],
  ])('lets callers reach %s, and tells where they come from', async (_what, now, names) => {
    Object.assign(ready, now);
    await expect.poll(whoAnswers, PATIENT).toEqual(names);
  });
});

interface Compose {
  services: Record<string, { command: [string]; environment: Record<string, string> }>;
}

describe.skipIf(!mayRun)('two PostgreSQL', () => {
  let compose: Compose;

  beforeAll(async () => {
    compose = parse(await readFile(join(FOLDER, 'compose.yml'), 'utf8'), { merge: true }) as Compose;
    for (const secret of ['database/superuser', 'database/password', 'replication/password']) {
      const file = join(directory, 'secrets', secret);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, `secret-of-${secret.replace('/', '-')}`);
    }
    for (const name of ['a', 'b']) {
      await mkdir(placeOf(name), { recursive: true });
      if (OWNER !== undefined) await chown(placeOf(name), OWNER.uid, OWNER.gid);
    }
    if (OWNER !== undefined) await chown(directory, OWNER.uid, OWNER.gid);
  });

  const placeOf = (name: string) => join(directory, name);

  /** What Compose would run, with this machine's addresses and directories in the place of the container's. */
  function run(service: string, name: string): { child: ChildProcess; said: () => string } {
    const { command, environment = {} } = compose.services[service] ?? { command: [''] };
    const other = name === 'a' ? 'b' : 'a';
    const [own, others] = [ports[`postgres-${name as 'a'}`], ports[`postgres-${other as 'a'}`]];
    const script = command[0]
      .replaceAll('$$', '$')
      .replaceAll('/tmp/', `${placeOf(name)}/`)
      .replaceAll('/state/', `${directory}/`)
      .replaceAll('/secrets/', `${directory}/secrets/`)
      .replaceAll('/etc/gatehouse/', FOLDER)
      .replaceAll('--host="postgres-$OTHER"', `--host=127.0.0.1 --port=${others}`)
      .replaceAll('host=postgres-$OTHER', `host=127.0.0.1 port=${others}`)
      .replaceAll('PGHOST=postgres-a,postgres-b', `PGHOST=127.0.0.1,127.0.0.1 PGPORT=${own},${others}`)
      .replaceAll(
        `listen_addresses='*'`,
        `listen_addresses=127.0.0.1 -c port=${own} -c unix_socket_directories=${placeOf(name)}`,
      );
    const child = spawn('bash', ['-euc', script], {
      cwd: directory,
      env: {
        PATH: `${dirname(programs?.postgres ?? '')}:${process.env['PATH'] ?? ''}`,
        ...environment,
        PGDATA: join(placeOf(name), 'data'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...OWNER,
    });
    children.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    return { child, said: () => said };
  }

  async function query(port: number, user: string, password: string, sql: string): Promise<unknown[]> {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } catch {
      return [];
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** As Gatehouse, where HAProxy leads. */
  const ask = (sql: string) => query(ports.primary, 'gatehouse', 'secret-of-database-password', sql);
  const whoIsPrimary = () => ask(`SELECT current_setting('cluster_name') AS name`);
  const followers = (name: 'a' | 'b') =>
    query(
      ports[`postgres-${name}`],
      'postgres',
      'secret-of-database-superuser',
      'SELECT application_name AS name, sync_state AS is FROM pg_stat_replication',
    );

  it('start from nothing, the one follows the other, and HAProxy leads to the first', async () => {
    run('postgres-a', 'a');
    run('postgres-b', 'b');
    const roles = run('roles', 'a');
    await once(roles.child, 'exit');
    expect([roles.child.exitCode, roles.said()]).toEqual([0, '']);
    await expect.poll(() => followers('a'), PATIENT).toEqual([{ name: 'b', is: 'quorum' }]);
    await expect.poll(whoIsPrimary, PATIENT).toEqual([{ name: 'a' }]);
    // A commit, which waits for the other one.
    expect(await ask('SELECT pg_current_xact_id() IS NOT NULL AS done')).toEqual([{ done: true }]);
  });

  it('let HAProxy in to see who is the primary, and to nothing else', async () => {
    const watch = async (database: string, sql: string) => {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: ports['postgres-a'],
        user: 'watcher',
        database,
      });
      try {
        await client.connect();
        return await client.query(sql);
      } finally {
        await client.end().catch(() => undefined);
      }
    };
    expect((await watch('postgres', 'SELECT pg_is_in_recovery() AS standby')).rows).toEqual([
      { standby: false },
    ]);
    await expect(watch('gatehouse', 'SELECT')).rejects.toThrow(/pg_hba/);
    await expect(watch('postgres', 'CREATE TABLE public.mine (a int)')).rejects.toThrow(/permission denied/);
  });

  it('change places: the second is promoted, the first does not come back as it was, but as its copy', async () => {
    const first = children.find(({ spawnargs }) =>
      spawnargs.join().includes(`port=${ports['postgres-a']} -c`),
    );
    if (first === undefined) throw new Error('the first one does not run');
    await stop(first);
    const promote = spawn(
      join(dirname(programs?.postgres ?? ''), 'pg_ctl'),
      ['promote', '--silent', `--pgdata=${join(placeOf('b'), 'data')}`],
      { stdio: 'ignore', ...OWNER },
    );
    await once(promote, 'exit');
    await expect.poll(whoIsPrimary, PATIENT).toEqual([{ name: 'b' }]);

    const old = run('postgres-a', 'a');
    await once(old.child, 'exit');
    expect(old.child.exitCode).toBe(1);
    expect(old.said()).toContain('postgres-b is the primary');

    await rm(join(placeOf('a'), 'data'), { recursive: true });
    run('postgres-a', 'a');
    await expect.poll(() => followers('b'), PATIENT).toEqual([{ name: 'a', is: 'quorum' }]);
    expect(await ask('SELECT pg_current_xact_id() IS NOT NULL AS done')).toEqual([{ done: true }]);
    await expect.poll(whoIsPrimary, PATIENT).toEqual([{ name: 'b' }]);
  });
});
