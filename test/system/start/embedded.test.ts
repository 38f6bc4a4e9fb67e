// The service without DATABASE_URL: a database of its own, something to try out, and the same again after a restart.
import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { bearer, type TokenPair } from '../../support/house.js';
import { placeMadeDatabase } from '../../support/made-database.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, untilReady, type Service } from '../../support/service.js';

const workshop = createWorkshop();
let dataDir: string;
let service: Service;

beforeAll(async () => {
  dataDir = join(await workshop.directory(), 'data');
  service = await workshop.start({ DATA_DIR: dataDir });
  while (!service.output.stdout.includes('demo.txt')) await sleep(20);
});
afterAll(() => workshop.clear());

/** What the log says, step by step. */
function stepsOf({ output }: Service): string[] {
  const lines = output.stdout.trimEnd().split('\n');
  const steps = lines.map((line) => JSON.parse(line) as { msg: string; url?: string });
  return steps.filter(({ url }) => url === undefined).map(({ msg }) => msg);
}

/** The last steps of each start. */
const openSteps = () => [
  `listening on http://127.0.0.1:${service.port}`,
  `open http://localhost:${service.port}/account to sign in and see sessions`,
  `open http://127.0.0.1:${service.port}/docs to try the endpoints`,
  `the user demo and the client demo-service are for trying out; their secrets are in ${join(dataDir, 'demo.txt')}`,
];

it('says what it does: makes a database, migrates it by name, listens, and what to open', async () => {
  const migrations = await readdir('prisma/migrations', { withFileTypes: true });
  const names = migrations.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(stepsOf(service)).toEqual([
    `making a new database in ${dataDir}`,
    'applied migrations',
    ...openSteps(),
  ]);
  for (const name of names) expect(service.output.stdout).toContain(name);
  expect(service.output.stderr).toBe('');
});

function readDemo(): Promise<string> {
  return readFile(join(dataDir, 'demo.txt'), 'utf8');
}

async function logInAsDemo(): Promise<{ status: number; pair: TokenPair }> {
  const [, password] = /^PASSWORD=(\S+)$/m.exec(await readDemo()) ?? [];
  const body = { username: 'demo', password };
  const answer = await retryOn503(() => ask(service, 'POST', '/login', { body }));
  return { status: answer.status, pair: answer.json<TokenPair>() };
}

it('keeps its directory and its secrets to itself', async () => {
  const modes = await Promise.all(
    ['', 'demo.txt', 'auth-secret', 'postgres.password', 'postgres'].map(async (name) => {
      const { mode } = await stat(join(dataDir, name));
      return [name, (mode & 0o777).toString(8)];
    }),
  );
  expect(modes).toEqual([
    ['', '700'],
    ['demo.txt', '600'],
    ['auth-secret', '600'],
    ['postgres.password', '600'],
    ['postgres', '700'],
  ]);
});

it('names the file with the demo in its log, and shows its secrets nowhere', async () => {
  const text = await readDemo();
  const password = /^PASSWORD=([0-9A-Za-z]+)$/m.exec(text)?.[1] ?? '';
  const secret = /^SECRET=([A-Za-z0-9]+)$/m.exec(text)?.[1] ?? '';
  expect([password.length, secret.length].map((length) => length >= 15)).toEqual([true, true]);
  const written = `${service.output.stdout}${service.output.stderr}`;
  expect(written).toContain(join(dataDir, 'demo.txt'));
  expect(written).not.toContain(password);
  expect(written).not.toContain(secret);
});

/** Pastes the lines where the demo has no session; again where the service had no time for one of them. */
async function paste(): Promise<{ stdout: string; stderr: string }> {
  for (;;) {
    const headers = bearer((await logInAsDemo()).pair.access_token);
    await retryOn503(() => ask(service, 'POST', '/logout-all', { headers, body: {} }));
    const env = { PATH: process.env['PATH'] };
    const pasted = await promisify(execFile)('bash', ['-eu', join(dataDir, 'demo.txt')], { env });
    if (!/temporarily_unavailable|^503$/m.test(pasted.stdout)) return pasted;
  }
}

it('gives lines that do what they say when they are pasted', async () => {
  const { stdout, stderr } = await paste();
  expect(stderr).toBe('');
  const [login, alive, session, sessions, refreshed, logout, dead, ...rest] = stdout.trimEnd().split('\n');
  const claims = { iss: `http://localhost:${service.port}`, username: 'demo', scope: 'demo' };
  expect(JSON.parse(login ?? '')).toMatchObject({ token_type: 'Bearer', expires_in: 600 });
  expect(JSON.parse(alive ?? '')).toMatchObject({ active: true, ...claims });
  expect(JSON.parse(session ?? '')).toMatchObject(claims);
  expect(JSON.parse(sessions ?? '')).toMatchObject({ sessions: [{ current: true }] });
  expect(JSON.parse(refreshed ?? '')).toMatchObject({ token_type: 'Bearer', expires_in: 600 });
  expect([logout, dead]).toEqual(['204', '{"active":false}']);
  expect(rest.map((line) => JSON.parse(line) as object)).toEqual([
    expect.objectContaining({ status: 401, error: 'invalid_token' }),
  ]);
});

it('refuses a second service on the same directory, and goes on serving', async () => {
  const second = await workshop.spawn({ DATA_DIR: dataDir });
  expect((await second.exited).code).toBe(1);
  expect(second.output.stderr.trimEnd().split('\n')).toEqual([
    expect.stringMatching(
      /^gatehouse: Another Gatehouse already serves from .*\. Set DATA_DIR .* or DATABASE_URL/,
    ),
  ]);
  expect((await logInAsDemo()).status).toBe(200);
});

it('tells a second one on its port that it is most likely the one that listens there', async () => {
  const second = await workshop.spawn({ DATA_DIR: dataDir, PORT: String(service.port) });
  expect((await second.exited).code).toBe(1);
  expect(second.output.stderr).toBe(
    `gatehouse: Port ${service.port} is taken, and another Gatehouse already serves from ${dataDir}: ` +
      'most likely it is the one that listens there. Stop it, or set both PORT and DATA_DIR to start a second one.\n',
  );
  expect(service.process.exitCode).toBeNull();
});

it('knows its users, its sessions and its key after a restart, and makes no second demo', async () => {
  const { pair } = await logInAsDemo();
  const readKeys = async () => (await retryOn503(() => ask(service, 'GET', '/.well-known/jwks.json'))).body;
  const before = { demo: await readDemo(), jwks: await readKeys() };
  expect(await service.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(stepsOf(service).slice(-3)).toEqual(['leaving', 'PostgreSQL has stopped', 'everything has stopped']);
  service = await workshop.spawn({ DATA_DIR: dataDir, PORT: String(service.port) });
  await untilReady(service);
  while (!service.output.stdout.includes('demo.txt')) await sleep(20);

  expect(await readKeys()).toBe(before.jwks);
  const headers = bearer(pair.access_token);
  const session = await retryOn503(() => ask(service, 'GET', '/session', { headers }));
  expect(session.status).toBe(200);
  expect((await logInAsDemo()).status).toBe(200);
  expect(await readDemo()).toBe(before.demo);
  expect(stepsOf(service)).toEqual([`opening the database in ${dataDir}`, ...openSteps()]);
});

it('names pages where they are: /account at the address of the issuer, /docs where a gateway does not stand before it', async () => {
  const made = join(await workshop.directory(), 'data');
  await placeMadeDatabase(made, { isMigrated: true });
  const behind = await workshop.start({ DATA_DIR: made, ISSUER: 'http://localhost:8080' });
  while (!behind.output.stdout.includes('demo.txt')) await sleep(20);
  const here = `http://127.0.0.1:${behind.port}/docs`;
  expect(stepsOf(behind)).toContain('open http://localhost:8080/account to sign in and see sessions');
  expect(stepsOf(behind)).toContain(`open ${here} to try the endpoints`);
  expect((await fetch(here, { headers: { 'sec-fetch-site': 'none' } })).status).toBe(200);
});
