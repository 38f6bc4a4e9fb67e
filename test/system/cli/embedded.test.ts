// The program itself, as a process, on the embedded database: beside a service that runs, and without one.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { gatehouse, type Outcome } from '../../support/command.js';
import { basic, type TestClient, type TokenPair } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { ask, type Answer } from '../../support/service.js';

const BIN = fileURLToPath(new URL('../../../bin/gatehouse.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../dist/cli/gatehouse.js', import.meta.url));
const SERVICE = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
const PASSWORD = 'a lamp beside 7 quiet harbours';

let folder: string;
let dataDir: string;
let service: ChildProcess | undefined;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'gatehouse-cli-')));
  dataDir = join(folder, 'data');
});
afterAll(async () => {
  service?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** An environment in which nobody has configured Gatehouse. */
function environment(more: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: folder, ...more };
}

async function run(
  args: string[],
  { program = BUILT, input = '', cwd = folder }: { program?: string; input?: string; cwd?: string } = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args], { cwd, env: environment() });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { status, stdout, stderr };
}

async function json(args: string[]): Promise<unknown> {
  const { status, stdout, stderr } = await run([...args, '--json']);
  if (status !== 0 || stderr !== '') throw new Error(`${args.join(' ')}: ${status} ${stderr}`);
  return JSON.parse(stdout) as unknown;
}

/** The same in this process: for what is known of the database by then, however the command was started. */
async function jsonHere(args: string[]): Promise<unknown> {
  const given = { environment: environment({ DATA_DIR: dataDir }) };
  const { status, stdout, stderr } = await gatehouse([...args, '--json'], given);
  if (status !== 0 || stderr !== '') throw new Error(`${args.join(' ')}: ${status} ${stderr}`);
  return JSON.parse(stdout) as unknown;
}

/** Starts the service on the same folder; stops it with SIGINT, which does not linger. */
async function serve(): Promise<{ url: string; stop: () => Promise<void> }> {
  const port = await findFreePort();
  const env = environment({ PORT: String(port), LOG_LEVEL: 'silent' });
  const child = spawn(process.execPath, [SERVICE], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  service = child;
  const url = `http://127.0.0.1:${port}`;
  for (let isReady = false; !isReady;) {
    await sleep(20);
    if (child.exitCode !== null) throw new Error(`the service ended with status ${child.exitCode}`);
    isReady = await fetch(`${url}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  }
  const stop = async () => {
    child.kill('SIGINT');
    await once(child, 'exit');
    service = undefined;
  };
  return { url, stop };
}

function isPostgresRunning(): boolean {
  return existsSync(join(dataDir, 'postgres/postmaster.pid'));
}

function logIn(url: string): Promise<Answer> {
  const body = { username: 'alice', password: PASSWORD };
  return retryOn503(() => ask({ url }, 'POST', '/login', { body }));
}

async function isActive(url: string, client: TestClient, token: string): Promise<boolean> {
  const question = { headers: basic(client), body: new URLSearchParams({ token }) };
  const answer = await retryOn503(() => ask({ url }, 'POST', '/introspect', question));
  return answer.json<{ active: boolean }>().active;
}

it('makes no database just to look into it, and says where it looked', async () => {
  const { status, stdout, stderr } = await run(['users', 'list', '--json'], { program: BIN });
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toBe(
    `gatehouse: there is no database in ${dataDir} yet: start the service or run \`gatehouse migrate\` to make one, ` +
      'or set DATA_DIR or DATABASE_URL to where yours is\n',
  );
  expect(existsSync(dataDir)).toBe(false);
});

it('makes one for the first user, privately, says where, and leaves nothing running', async () => {
  const { status, stdout, stderr } = await run(['users', 'add', 'alice', '--password-stdin', '--json'], {
    input: `${PASSWORD}\n`,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: `gatehouse: made a new database in ${dataDir}\n` });
  expect(JSON.parse(stdout)).toMatchObject({ username: 'alice' });
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  expect(isPostgresRunning()).toBe(false);
});

it('works on it again without a service, and two at a time', async () => {
  const [users, clients] = await Promise.all([json(['users', 'list']), json(['clients', 'list'])]);
  expect([users, clients]).toMatchObject([[{ username: 'alice' }], []]);
  expect(await json(['migrate'])).toEqual([]);
  expect(isPostgresRunning()).toBe(false);
});

it('works beside the service, which heeds it with the next request', async () => {
  const { url, stop } = await serve();
  const client = (await jsonHere(['clients', 'add', 'orders'])) as TestClient;
  const pair = (await logIn(url)).json<TokenPair>();
  expect(await isActive(url, client, pair.access_token)).toBe(true);
  // A login that was answered 503 for want of time, and repeated, may have opened one more.
  expect(await jsonHere(['sessions', 'list', 'alice'])).toContainEqual(
    expect.objectContaining({ id: pair.session_id }),
  );

  const { stdout, stderr, status } = await run(['users', 'disable', 'alice']);
  expect({ status, stderr, stdout }).toEqual({
    status: 0,
    stderr: '',
    stdout: 'alice is disabled, every session has ended\n',
  });
  expect(await isActive(url, client, pair.access_token)).toBe(false);
  expect((await logIn(url)).status).toBe(401);

  const next = (await jsonHere(['keys', 'rotate'])) as { kid: string };
  const jwks = await retryOn503(() => ask({ url }, 'GET', '/.well-known/jwks.json'));
  expect(jwks.json<{ keys: { kid: string }[] }>().keys.map(({ kid }) => kid)).toContain(next.kid);
  expect(isPostgresRunning()).toBe(true);
  await stop();
  expect(isPostgresRunning()).toBe(false);
});

it('finds after the service what it found beside it, with the same secret', async () => {
  const [signing, next] = (await json(['keys', 'list'])) as { kid: string; state: string }[];
  expect([signing?.state, next?.state]).toEqual(['signing', 'next']);
  expect(await jsonHere(['keys', 'retire', signing?.kid ?? ''])).toMatchObject({ retired_kid: signing?.kid });
  expect((await stat(join(dataDir, 'auth-secret'))).mode & 0o777).toBe(0o600);
  const secret = await readFile(join(dataDir, 'auth-secret'), 'utf8');
  expect((await run(['keys', 'list'])).stdout).not.toContain(secret.trim());
});

it('reads .env in the folder where it is called', async () => {
  const elsewhere = join(folder, 'elsewhere');
  await mkdir(elsewhere);
  await writeFile(join(elsewhere, '.env'), `DATA_DIR=${dataDir}\n`);
  const { status, stdout } = await run(['users', 'list', '--json'], { cwd: elsewhere });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject([{ username: 'alice' }]);
});

it('takes it calmly when nobody reads on', async () => {
  const command = `set -o pipefail; "${process.execPath}" "${BUILT}" --help | true`;
  const child = spawn('bash', ['-c', command], { cwd: folder, env: environment() });
  const [stderr, [status]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it('ends with the status of the command', async () => {
  expect((await run(['frobnicate'])).status).toBe(2);
  expect((await run(['--version'])).status).toBe(0);
});
