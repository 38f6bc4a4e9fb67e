// Programs of others as the tests run them: found where systems keep them, started, waited for, and ended.
import { spawn, spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';

/** Where programs are: for a user on Debian not where nginx is. */
export const PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin`;

export interface Running {
  /** Ends it; fails when it had ended before. */
  stop: () => Promise<void>;
  /** What it wrote on standard error so far. */
  output: () => string;
}

/** Whether a command can be run at all and, where it says so by its status, to the end. */
export function works(program: string, parameters: string[]): boolean {
  const { error, status } = spawnSync(program, parameters, { env: { ...process.env, PATH } });
  return error === undefined && status === 0;
}

/** The interpreter that has these modules: that of the system, where a distribution has put them, may be another than the first. */
export function findPython(modules: string): string | undefined {
  return ['python3', '/usr/bin/python3'].find((python) => works(python, ['-c', `import ${modules}`]));
}

/**
 * A suite that needs a program: skipped with a word where there is none. Its tests run in their order, also where the suite runs
 * beside others.
 *
 * @param required the variable that makes its absence a failure
 */
export function describeWhere(
  isThere: boolean,
  { name, needs, required }: { name: string; needs: string; required?: string },
  suite: () => void,
): void {
  const isRequired = required !== undefined && process.env[required] === '1';
  if (isThere || isRequired) describe(name, { concurrent: false }, suite);
  else describe.skip(`${name}: skipped, since there is no ${needs} here`, suite);
}

/**
 * Starts a program in a directory, and waits until it listens.
 *
 * @param options.port on loopback, or the path of a socket
 */
export async function startProgram(
  program: string,
  parameters: string[],
  {
    port,
    directory,
    environment = {},
  }: { port: number | string; directory: string; environment?: Record<string, string> },
): Promise<Running> {
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
    output: () => output,
    stop: async () => {
      if (child.exitCode !== null) throw new Error(await ended);
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function untilListening(port: number | string): Promise<true> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = typeof port === 'string' ? connect(port) : connect({ port, host: '127.0.0.1' });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return true;
    await sleep(20);
  }
}
