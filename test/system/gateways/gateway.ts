// The gateways of examples/ as processes: the very files that users copy, with three addresses changed.
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describeWhere, startProgram, works, type Running } from '../../support/programs.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));

/** Port numbers, all on loopback. */
export interface Ports {
  gateway: number;
  gatehouse: number;
  application: number;
}

export interface Driver {
  name: string;
  /** What to run, and the variable that makes its absence a failure. */
  program: string;
  required: string;
  /** Whether it can strip headers by how their names begin, or only those that its file names. */
  stripsByBeginning: boolean;
  /** Starts it in an empty directory and waits until it listens. */
  start: (ports: Ports, directory: string) => Promise<Running>;
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
    const parameters = ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
    return startProgram('nginx', parameters, { port: ports.gateway, directory });
  },
};

export const caddy: Driver = {
  name: 'Caddy',
  program: 'caddy',
  required: 'GATEHOUSE_REQUIRE_CADDY',
  stripsByBeginning: true,
  start: (ports, directory) =>
    startProgram('caddy', ['run', '--config', join(EXAMPLES, 'caddy/Caddyfile')], {
      port: ports.gateway,
      directory,
      environment: {
        GATEWAY_PORT: String(ports.gateway),
        GATEHOUSE: `127.0.0.1:${ports.gatehouse}`,
        APPLICATION: `127.0.0.1:${ports.application}`,
      },
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
    return startProgram('haproxy', ['-f', 'haproxy.cfg'], { port: ports.gateway, directory });
  },
});
export const haproxy = createHaproxy();

/** A suite that needs the program: skipped with a word where there is none, unless it is required. */
export function describeWith({ name, program, required }: Driver, suite: () => void): void {
  const isThere = works(program, [program === 'caddy' ? 'version' : '-v']);
  describeWhere(isThere, { name, needs: `program \`${program}\``, required }, suite);
}

export function replaceOnce(text: string, address: string, by: string): string {
  const parts = text.split(address);
  if (parts.length !== 2) throw new Error(`the example names ${address} ${parts.length - 1} times`);
  return parts.join(by);
}
