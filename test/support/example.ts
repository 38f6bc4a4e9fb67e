// One of the examples as its README starts it: a process of its own.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Example {
  url: string;
  /** Tells it to end, and waits for its status. */
  stop: () => Promise<number | null>;
}

/** Starts it and waits until it listens; stop it in `afterAll`. */
export async function startExample(
  name: string,
  port: number,
  environment: Record<string, string>,
): Promise<Example> {
  const child = spawn(process.execPath, [`examples/${name}/server.js`], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], PORT: String(port), ...environment },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  while (!output.includes('Server listening')) {
    if (child.exitCode !== null) throw new Error(`examples/${name} ended: ${output}`);
    await sleep(20);
  }
  return {
    url: `http://localhost:${port}`,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
