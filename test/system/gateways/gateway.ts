// The gateways of examples/ as processes: the very files that users copy, with three addresses changed.
import { spawn, spawnSync } from 'node:child_process';
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe } from 'vitest';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));

/** Where programs are: for a user on Debian not where nginx is. */
const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin`;

/** Port numbers, all on loopback. */
export interface Ports {
  gateway: number;
  gatehouse: number;
  application: number;
}

export interface Gateway {
  /** Ends it; fails when it had ended before. */
  stop: () => Promise<void>;
}

export interface Driver {
  name: string;
  /** What to run, and the variable that makes its absence a failure. */
  program: string;
  required: string;
  /** Whether it can strip headers by how their names begin, or only those that its file names. */
  stripsByBeginning: boolean;
  /** Starts it in an empty directory and waits until it listens. */
  start: (ports: Ports, directory: string) => Promise<Gateway>;
}

export const nginx: Driver = {
  name: 'nginx',
  program: 'nginx',
  required: 'GATEHOUSE_REQUIRE_NGINX',
  stripsByBeginning: false,
  start: async (ports, directory) => {
    let text = await readFile(join(EXAMPLES, 'nginx/nginx.conf'), 'utf8');
    text = replaceOnce(text, '127.0.0.1:3000', `127.0.0.1:${ports.gatehouse}`);
    text = replaceOnce(text, '127.0.0.1:4000', `127.0.0.1:${ports.application}`);
    text = replaceOnce(text, '127.0.0.1:8080', `127.0.0.1:${ports.gateway}`);
    await writeFile(join(directory, 'nginx.conf'), text);
    // Started by root, its workers are somebody else.
    await chmod(directory, 0o755);
    return run('nginx', ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'], ports, directory);
  },
};

export const caddy: Driver = {
  name: 'Caddy',
  program: 'caddy',
  required: 'GATEHOUSE_REQUIRE_CADDY',
  stripsByBeginning: true,
  start: (ports, directory) =>
    run('caddy', ['run', '--config', join(EXAMPLES, 'caddy/Caddyfile')], ports, directory, {
      GATEWAY_PORT: String(ports.gateway),
      GATEHOUSE: `127.0.0.1:${ports.gatehouse}`,
      APPLICATION: `127.0.0.1:${ports.application}`,
    }),
};

/** @param edit what else of the example differs */
export const createHaproxy = (edit = (text: string): string => text): Driver => ({
  name: 'HAProxy',
  program: 'haproxy',
  required: 'GATEHOUSE_REQUIRE_HAPROXY',
  stripsByBeginning: true,
  start: async (ports, directory) => {
    let text = edit(await readFile(join(EXAMPLES, 'haproxy/haproxy.cfg'), 'utf8'));
    text = replaceOnce(text, '127.0.0.1:3000', `127.0.0.1:${ports.gatehouse}`);
    text = replaceOnce(text, '127.0.0.1:4000', `127.0.0.1:${ports.application}`);
    text = replaceOnce(text, '127.0.0.1:8080', `127.0.0.1:${ports.gateway}`);
    await writeFile(join(directory, 'haproxy.cfg'), text);
    await copyFile(join(EXAMPLES, 'haproxy/gatehouse.lua'), join(directory, 'gatehouse.lua'));
    return run('haproxy', ['-f', 'haproxy.cfg'], ports, directory);
  },
});
export const haproxy = createHaproxy();

/** A suite that needs the program: skipped with a word where there is none, unless it is required. */
export function describeWith({ name, program, required }: Driver, suite: () => void): void {
  const isThere =
    spawnSync(program, [program === 'caddy' ? 'version' : '-v'], { env: { PATH } }).error === undefined;
  if (isThere || process.env[required] === '1') describe(name, suite);
  else describe.skip(`${name}: skipped, since there is no program \`${program}\` here`, suite);
}

export function replaceOnce(text: string, address: string, by: string): string {
  const parts = text.split(address);
  if (parts.length !== 2) throw new Error(`the example names ${address} ${parts.length - 1} times`);
  return parts.join(by);
}

async function run(
  program: string,
  parameters: string[],
  { gateway: port }: Ports,
  directory: string,
  environment: Record<string, string> = {},
): Promise<Gateway> {
  const child = spawn(program, parameters, {
    cwd: directory,
    env: { PATH, HOME: directory, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`${program} cannot be run: ${error.message}`));
    child.once('close', (code) => resolve(`${program} ended with ${code ?? 'a signal'}: ${output}`));
  });
  const isUp = await Promise.race([untilListening(port), ended]);
  if (isUp !== true) throw new Error(isUp);
  return {
    stop: async () => {
      if (child.exitCode !== null) throw new Error(await ended);
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function untilListening(port: number): Promise<true> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return true;
    await sleep(20);
  }
}
