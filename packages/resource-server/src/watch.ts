/** Watches over what stays open, such as a socket or a stream: asks about its token again and again, and says when to close it. */
import type { Admission } from './introspector.js';
import { isWithin } from './options.js';
import { Refusal, unavailable } from './refusal.js';
import { Unanswered } from './unanswered.js';

/** What `createIntrospector` makes. */
export type Introspect = (
  authorization: string | null | undefined,
  needs?: { scope?: string },
) => Promise<Admission>;

export interface Watched {
  /** What the token must be good for; several, separated by spaces, are all needed. */
  scope?: string;
  /** Aborted when the connection is closed: from then on nothing is asked, and nothing is called. */
  signal: AbortSignal;
  /**
   * Called once, when the connection must be closed. The refusal says why: 401 or 403 when the token is no longer good for it,
   * 503 when Gatehouse could not be asked for so long. What it throws is thrown into the process, as if a listener of Node's events
   * had thrown it: by then nothing of the connection is watched any more, and all others are.
   */
  onEnd: (refusal: Refusal) => void;
}

/**
 * @param authorization as the request brought it that opened the connection
 * @throws {Refusal} as the introspector does: then nothing is watched
 */
export type Watch = (authorization: string | null | undefined, watched: Watched) => Promise<Admission>;

const MAX_SECONDS = 300;

/** Within the time that a connection is given: one question may be lost, and the next one is still in time. */
const QUESTIONS = 4;

/** The shortest-lived token, of 30 s, is near its end for 15. Two of these questions fall into that time, and the first one gets the successor. */
const MAX_PAUSE_SECONDS = 7;

/**
 * All connections are asked about together, so that one request asks about many of them. A token's successor takes its
 * place: a connection lives as long as the session, up to the last successor.
 *
 * @param options `seconds`: how long a connection may outlive its session at most, 1 to 300. So long it may also live without an answer
 *   of Gatehouse. What the introspector's `cacheSeconds` allows comes on top.
 * @throws {TypeError} for other `seconds`
 */
export function createWatch(introspect: Introspect, { seconds }: { seconds: number }): Watch {
  if (!isWithin(seconds, 1, MAX_SECONDS))
    throw new TypeError(`gatehouse: seconds is not a number from 1 to ${MAX_SECONDS}`);
  const beat = createBeat(Math.min(seconds / QUESTIONS, MAX_PAUSE_SECONDS) * 1000);

  return async (authorization, { scope = '', signal, onEnd }) => {
    let newest = authorization;
    let silence = unavailable(new Unanswered(`Gatehouse has not answered for ${seconds} s.`));
    let deadline: NodeJS.Timeout | undefined;
    let confirmedAtMs = -Infinity;
    let isOver = signal.aborted;

    async function ask(): Promise<Admission> {
      const askedAtMs = performance.now();
      const admission = await introspect(newest, { scope });
      // Answers may come in another order than their questions: an older one says nothing that a newer one has not said.
      if (isOver || askedAtMs < confirmedAtMs) return admission;
      confirmedAtMs = askedAtMs;
      if (admission.refreshedToken !== undefined) newest = `Bearer ${admission.refreshedToken}`;
      clearTimeout(deadline);
      deadline = setTimeout(() => end(silence), askedAtMs + seconds * 1000 - performance.now());
      return admission;
    }

    function askAgain(): void {
      ask().catch((error: unknown) => {
        if (!(error instanceof Refusal)) throwIntoProcess(error);
        else if (error.status === 503) silence = error;
        else end(error);
      });
    }

    function leave(): void {
      isOver = true;
      clearTimeout(deadline);
      beat.remove(askAgain);
      signal.removeEventListener('abort', leave);
    }

    function end(refusal: Refusal): void {
      if (isOver) return;
      leave();
      try {
        onEnd(refusal);
      } catch (error) {
        throwIntoProcess(error);
      }
    }

    signal.addEventListener('abort', leave);
    try {
      const admission = await ask();
      if (!isOver) beat.add(askAgain);
      return admission;
    } catch (error) {
      leave();
      throw error;
    }
  };
}

/** To `uncaughtException`: nobody waits for it, and it must not stop what is done for other connections. */
function throwIntoProcess(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

interface Beat {
  add: (work: () => void) => void;
  remove: (work: () => void) => void;
}

/** Does all works together, every so many milliseconds, while there are any. */
function createBeat(everyMs: number): Beat {
  const works = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  return {
    add: (work) => {
      works.add(work);
      timer ??= setInterval(() => works.forEach((each) => each()), everyMs);
    },
    remove: (work) => {
      works.delete(work);
      if (works.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    },
  };
}
