// @ts-check
// One replica: a process of the built service, which is started again as a supervisor would.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SHIFTED_CLOCK = new URL('../shared/shifted-clock.js', import.meta.url).href;

const POLL_MS = 25;
const POLL_DEADLINE_MS = 3000;
/** Until one that could not start, because the database was away, is started once more. */
const PAUSE_MS = 150;
const STARTS_WITHIN_MS = 15_000;
/** Leaving takes a second, and as long as requests and statements under way. */
const STOPS_WITHIN_MS = 45_000;

/**
 * @typedef {object} Exit of a process that nobody had told to go
 * @property {string} replica
 * @property {number | null} code
 * @property {string | null} signal
 * @property {boolean} wasServing whether it had been up
 */

/** @typedef {ReturnType<typeof createReplica>} Replica */

/**
 * @param {{ name: string, port: number, dist: string, directory: string, environment: Record<string, string>,
 *   proxy: import('./proxy.js').Proxy, log: (line: string) => void }} options
 */
export function createReplica({ name, port, dist, directory, environment, proxy, log }) {
  const url = `http://127.0.0.1:${port}`;
  /** @type {Exit[]} unexpected ones */
  const exits = [];
  /** Starts that failed for want of a database: the service says so and ends, and is started again. */
  let refusals = 0;
  /** @type {import('node:child_process').ChildProcess | null} */
  let child = null;
  let isServing = false;
  /** What ends a supervision: whoever kills or stops. @type {AbortController | null} */
  let supervision = null;
  let started = Promise.resolve();
  let ended = Promise.resolve();

  /** @param {number} shiftMs */
  async function spawnOnce(shiftMs) {
    const home = join(directory, name);
    await mkdir(home, { recursive: true });
    const output = await open(join(directory, `${name}.log`), 'a');
    try {
      return spawn(process.execPath, [...preload(shiftMs), join(dist, 'main.js')], {
        cwd: home,
        env: {
          PATH: process.env['PATH'],
          CLOCK_SHIFT_MS: String(shiftMs),
          DATA_DIR: home,
          PORT: String(port),
          ...environment,
        },
        stdio: ['ignore', output.fd, output.fd],
      });
    } finally {
      await output.close();
    }
  }

  /**
   * Keeps a process running until it is told not to, and says when the first one answers.
   *
   * @param {number} shiftMs
   * @param {AbortSignal} signal
   * @param {() => void} onServing
   */
  async function supervise(shiftMs, signal, onServing) {
    while (!signal.aborted) {
      const running = await spawnOnce(shiftMs);
      child = running;
      const exited = once(running, 'exit');
      if (signal.aborted) running.kill('SIGKILL');
      void untilServing(running, signal).then((is) => is && onServing());
      const [code, killer] = await exited;
      noteExit(code, killer, signal.aborted);
      if (!signal.aborted) await sleep(PAUSE_MS);
    }
  }

  /**
   * @param {number | null} code
   * @param {string | null} signal
   * @param {boolean} isExpected
   */
  function noteExit(code, signal, isExpected) {
    const wasServing = isServing;
    isServing = false;
    child = null;
    if (isExpected) return;
    if (!wasServing && code === 1) {
      refusals += 1;
      return;
    }
    exits.push({ replica: name, code, signal, wasServing });
    log(`${name} ended by itself: ${code ?? signal}`);
  }

  /**
   * Whether it has come to answer: with 200 where there is a database, and all the same where it has gone again.
   *
   * @param {import('node:child_process').ChildProcess} running
   * @param {AbortSignal} signal
   */
  async function untilServing(running, signal) {
    while (running === child && !signal.aborted) {
      if ((await askReady(url)) !== null) return running === child && !signal.aborted;
      await sleep(POLL_MS);
    }
    return false;
  }

  /** @param {NodeJS.Signals} signal */
  async function end(signal) {
    supervision?.abort();
    isServing = false;
    const leaving = child;
    leaving?.kill(signal);
    const giveUp = setTimeout(() => {
      exits.push({ replica: name, code: null, signal: `deaf to ${signal}`, wasServing: true });
      leaving?.kill('SIGKILL');
    }, STOPS_WITHIN_MS);
    await ended;
    clearTimeout(giveUp);
  }

  return {
    name,
    port,
    url,
    proxy,
    exits,
    refusals: () => refusals,
    pid: () => child?.pid ?? null,
    isUp: () => isServing,
    kill: () => end('SIGKILL'),
    /** @param {NodeJS.Signals} signal */
    stop: (signal = 'SIGTERM') => end(signal),
    /**
     * Starts it, unless it is running, and waits until it answers, but not for ever: without a database it cannot, and
     * goes on trying.
     *
     * @param {{ shiftMs?: number, withinMs?: number }} options
     * @returns {Promise<boolean>} whether it answers
     */
    start: async ({ shiftMs = 0, withinMs = STARTS_WITHIN_MS } = {}) => {
      if (supervision === null || supervision.signal.aborted) {
        supervision = new AbortController();
        const { signal } = supervision;
        started = new Promise((resolve) => {
          const onServing = () => {
            isServing = true;
            resolve();
          };
          ended = ended.then(() => supervise(shiftMs, signal, onServing));
        });
      }
      await Promise.race([started, sleep(withinMs, undefined, { ref: false })]);
      return isServing;
    },
    /** Whether `/ready` says that it can answer truthfully. */
    isReady: async () => (await askReady(url)) === 200,
  };
}

/** @param {number} shiftMs */
function preload(shiftMs) {
  return shiftMs === 0 ? [] : ['--import', SHIFTED_CLOCK];
}

/**
 * @param {string} url
 * @returns {Promise<number | null>} the status of `/ready`; null when nobody answers
 */
async function askReady(url) {
  try {
    const answer = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(POLL_DEADLINE_MS) });
    await answer.body?.cancel();
    return answer.status;
  } catch {
    return null;
  }
}
