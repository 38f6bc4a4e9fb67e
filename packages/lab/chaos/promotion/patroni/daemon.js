// @ts-check
// A program that serves for as long as the drill runs: started, waited for, and killed with the drill.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** None of our own environment: it may hold secrets. */
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C.UTF-8', TZ: 'UTC' };

const POLL_MS = 50;
const LISTENS_WITHIN_MS = 90_000;
const TOLD = 2000;

/** @typedef {Awaited<ReturnType<typeof startDaemon>>} Daemon */

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string[]} options.command
 * @param {string} options.log the file that it writes to
 * @param {{ host: string, port: number }} options.listens where it takes connections once it is up
 */
export async function startDaemon({ name, command: [program = '', ...words], log, listens }) {
  const output = await open(log, 'a');
  const child = spawn(program, words, {
    cwd: '/',
    env: ENVIRONMENT,
    stdio: ['ignore', output.fd, output.fd],
    // Ctrl-C in our terminal is ours to pass on.
    detached: true,
  });
  await output.close();
  /** @type {Error | null} */
  let failure = null;
  child.on('error', (error) => (failure = error));
  const exited = once(child, 'exit').catch(() => undefined);
  const isOver = () => failure !== null || child.exitCode !== null || child.signalCode !== null;

  async function kill() {
    if (!isOver()) child.kill('SIGKILL');
    await exited;
  }

  const giveUpAt = performance.now() + LISTENS_WITHIN_MS;
  while (!(await isListening(listens))) {
    if (isOver() || performance.now() > giveUpAt) {
      await kill();
      const said = (await readFile(log, 'utf8')).slice(-TOLD);
      throw new Error(`${name} did not start${failure === null ? '' : ` (${String(failure)})`}: ${said}`);
    }
    await sleep(POLL_MS);
  }
  return { pid: /** @type {number} */ (child.pid), isOver, kill, exited };
}

/** @param {{ host: string, port: number }} address @returns {Promise<boolean>} */
async function isListening(address) {
  return await new Promise((resolve) => {
    const socket = connect({ ...address, timeout: 1000 });
    for (const event of ['error', 'timeout'])
      socket.once(event, () => {
        socket.destroy();
        resolve(false);
      });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
