// PgBouncer in front of a database of the tests, in each of its modes.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Debian keeps it where only root looks. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin`;

/** Where it has to be, its absence fails the tests that need it. */
export const isPgBouncerHere =
  process.env['GATEHOUSE_REQUIRE_PGBOUNCER'] === '1' ||
  spawnSync('pgbouncer', ['--version'], { env: { PATH } }).error === undefined;

export interface PgBouncer {
  /** The URL that was given, by way of it. */
  url: string;
  stop: () => Promise<void>;
}

/**
 * @param url the database behind it
 * @param port where it listens on loopback
 * @param settings as in pgbouncer.ini
 */
export async function startPgBouncer(
  url: string,
  port: number,
  settings: Record<string, string>,
): Promise<PgBouncer> {
  const { hostname, port: serverPort, username, password } = new URL(url);
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-pgbouncer-'));
  await chmod(directory, 0o755);
  const users = join(directory, 'users.txt');
  await writeFile(users, `"${username}" "${password}"\n`);
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const file = join(directory, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]\n* = host=${hostname} port=${serverPort}\n[pgbouncer]\n${lines.join('\n')}\n`,
  );
  // It refuses to run as root.
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('pgbouncer', [...asUser, file], { env: { PATH }, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  let failure: Error | undefined;
  child.on('error', (error) => (failure = error));
  while (!(await isListening(port))) {
    if (failure !== undefined || child.exitCode !== null)
      throw new Error(`pgbouncer does not start: ${String(failure)} ${output}`);
    await sleep(10);
  }
  const way = new URL(url);
  way.port = String(port);
  return {
    url: way.href,
    stop: async () => {
      const ended = once(child, 'close');
      // At once: connections break.
      child.kill('SIGTERM');
      await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('error', () => {
      resolve(false);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
