/** The line to Gatehouse: a pool of kept connections, a deadline for each question, and one more attempt where it helps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

import type { Settings } from './options.js';
import { Unanswered } from './unanswered.js';

export interface UpstreamAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface Upstream {
  /** @throws {Unanswered} when nothing came back in time */
  ask: (form: string) => Promise<UpstreamAnswer>;
  /** Waits for the answers under way, which the deadline bounds. */
  close: () => Promise<void>;
}

/** Plenty: on a busy one follows the next question as soon as the answer is there, usually within a few milliseconds. */
const MAX_CONNECTIONS = 64;

/** Many times what claims need. A longer answer is none of Gatehouse's, and is not read to its end. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Before a 503 is answered with another attempt, which may meet another replica; by chance, so that not all come at once. */
const PAUSE_MS = { least: 50, most: 250 };

export function createUpstream({ origin, path, authorization, timeoutMs }: Settings): Upstream {
  const options = {
    connections: MAX_CONNECTIONS,
    maxResponseSize: MAX_ANSWER_BYTES,
    // The deadline ends whatever waits for a connection, but not the attempt to open one.
    connect: { timeout: timeoutMs },
  };
  const kept = new Pool(origin, options);
  // Where one kept connection was found broken, the next may be as well: a second attempt opens its own.
  const fresh = new Pool(origin, { ...options, pipelining: 0 });
  const headers = {
    authorization,
    'content-type': 'application/x-www-form-urlencoded',
    accept: 'application/json',
  };

  async function attempt(pool: Pool, body: string, signal: AbortSignal): Promise<UpstreamAnswer> {
    const answer = await pool.request({ method: 'POST', path, headers, body, signal });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  /** A question changes nothing, so it may be asked again whatever became of the first. */
  async function askTwice(form: string, signal: AbortSignal): Promise<UpstreamAnswer> {
    const endsAtMs = performance.now() + timeoutMs;
    const first = await attempt(kept, form, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      // A kept connection that the other side has just closed: there is nothing to wait for.
      return null;
    });
    if (first === null) return attempt(fresh, form, signal);
    if (first.status !== 503 || endsAtMs - performance.now() <= PAUSE_MS.most) return first;
    await sleep(PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least));
    return attempt(fresh, form, signal);
  }

  return {
    ask: async (form) => {
      const expiry = startExpiry(timeoutMs);
      try {
        // undici settles a request that still waits for a connection when it gets one, not when it is aborted.
        return await Promise.race([askTwice(form, expiry.signal), expiry.reached]);
      } catch (error) {
        if (error instanceof Unanswered) throw error;
        throw new Unanswered(`Gatehouse cannot be reached: ${describe(error)}.`);
      } finally {
        expiry.clear();
      }
    },
    close: async () => {
      await Promise.all([kept.close(), fresh.close()]);
    },
  };
}

function startExpiry(timeoutMs: number): { signal: AbortSignal; reached: Promise<never>; clear: () => void } {
  const controller = new AbortController();
  const { promise: reached, reject } = withRejection();
  const timer = setTimeout(() => {
    const error = new Unanswered(`Gatehouse did not answer within ${timeoutMs} ms.`);
    reject(error);
    controller.abort(error);
  }, timeoutMs);
  return { signal: controller.signal, reached, clear: () => clearTimeout(timer) };
}

function withRejection(): { promise: Promise<never>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_resolve, refuse) => (reject = refuse));
  return { promise, reject };
}

/** Codes are constant words; messages may quote what was read. */
function describe(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name);
}
