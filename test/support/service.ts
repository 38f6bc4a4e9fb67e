// The service as its users run it: a process of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { findFreePort } from '../../packages/lab/shared/ports.js';
import { SECRET } from './house.js';
import { JOINED_MAIN } from './joined.js';
import { isRunning } from './processes.js';

const SHIFTED_CLOCK = new URL('../../packages/lab/shared/shifted-clock.js', import.meta.url).href;
const HURRIED_TIMERS = new URL('./hurried-timers.js', import.meta.url).href;

/** How many processes serve where a test does not say it: the same tests hold for one and for several. */
const { GATEHOUSE_TEST_WORKERS: WORKERS = '1' } = process.env;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Service {
  url: string;
  port: number;
  process: ChildProcess;
  /** Everything that it wrote to standard output and standard error so far. */
  output: { stdout: string; stderr: string };
  exited: Promise<Exit>;
  stop: (signal: NodeJS.Signals) => Promise<Exit>;
}

export interface SpawnOptions {
  clockShiftMs?: number;
  /** With the timers of hurried-timers.js. */
  isHurried?: boolean;
  /** In a process group of its own, as a terminal has it: a signal to the group reaches all its processes at once. */
  ownGroup?: boolean;
  /** Where standard output goes instead of to us. */
  logFile?: string;
  /** Another build than the one that is tested. */
  main?: string;
}

/** Processes and directories of one test file; clear them in `afterEach` or `afterAll`. */
export interface Workshop {
  directory: () => Promise<string>;
  /** Starts the service in an empty directory, without waiting for anything. */
  spawn: (environment: Record<string, string>, options?: SpawnOptions) => Promise<Service>;
  /** Starts it and waits until it is ready. */
  start: (environment: Record<string, string>, options?: SpawnOptions) => Promise<Service>;
  clear: () => Promise<void>;
}

export function createWorkshop(): Workshop {
  const services: Service[] = [];
  const directories: string[] = [];

  async function directory(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'gatehouse-service-'));
    directories.push(path);
    return path;
  }

  async function spawnService(
    environment: Record<string, string>,
    { clockShiftMs = 0, isHurried = false, ownGroup = false, logFile, main = JOINED_MAIN }: SpawnOptions = {},
  ): Promise<Service> {
    const port = Number(environment['PORT'] ?? (await findFreePort()));
    const log = logFile === undefined ? undefined : await open(logFile, 'a');
    const preloaded = [
      ...(clockShiftMs === 0 ? [] : [SHIFTED_CLOCK]),
      ...(isHurried ? [HURRIED_TIMERS] : []),
    ];
    const child = spawn(process.execPath, [...preloaded.flatMap((module) => ['--import', module]), main], {
      cwd: await directory(),
      env: {
        PATH: process.env['PATH'],
        CLOCK_SHIFT_MS: String(clockShiftMs),
        PORT: String(port),
        WORKERS,
        ...environment,
      },
      detached: ownGroup,
      stdio: ['ignore', log?.fd ?? 'pipe', 'pipe'],
    });
    await log?.close();
    const service = attend(child, port);
    services.push(service);
    return service;
  }

  return {
    directory,
    spawn: spawnService,
    start: async (environment, options) => {
      const service = await spawnService(environment, options);
      await untilReady(service);
      return service;
    },
    clear: async () => {
      await Promise.all(services.splice(0).map((service) => service.stop('SIGINT')));
      for (const path of directories.splice(0)) await rm(path, { recursive: true, force: true });
    },
  };
}

function attend(child: ChildProcess, port: number): Service {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    process: child,
    output,
    exited,
    stop: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Waits until /ready says 200; fails when the process ends before. */
export async function untilReady({ url, process: child, output }: Service): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the service ended: ${output.stderr}${output.stdout}`);
    const response = await fetch(`${url}/ready`).catch(() => null);
    await response?.arrayBuffer();
    if (response?.status === 200) return;
    await sleep(20);
  }
}

/** Whether any process lives of a service in a group of its own. */
export function isAlive({ process: { pid } }: Service): boolean {
  return isRunning(-Number(pid));
}

/** What a process needs to serve from a database that others bring. */
export function environmentFor(databaseUrl: string): Record<string, string> {
  return { DATABASE_URL: databaseUrl, AUTH_SECRET: SECRET, ISSUER: 'http://gatehouse.test' };
}

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
  /** Of whatever shape the caller expects, like the one of an injected answer. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
  json: <T>() => T;
  /** By this process’s monotonic clock. */
  startedAtMs: number;
  tookMs: number;
}

/** Sends a request to a service: JSON unless the body is a form. */
export async function ask(
  { url }: Pick<Service, 'url'>,
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: object | URLSearchParams } = {},
): Promise<Answer> {
  const { body } = options;
  const isForm = body instanceof URLSearchParams;
  const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
  const startedAtMs = performance.now();
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': type }), ...options.headers },
    ...(body === undefined ? {} : { body: isForm ? body.toString() : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text,
    // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
    json: <T>() => JSON.parse(text) as T,
    startedAtMs,
    tookMs: performance.now() - startedAtMs,
  };
}
