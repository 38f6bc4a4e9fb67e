/** A process that hashes with argon2, on as many threads as it is asked at once. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

/**
 * How it gives way on Linux. `idle` runs when nobody else wants the core, and is off
 * it at once when somebody does: with a mere niceness every answer waits for the end of a time slice, several times over.
 * But where others want all cores all the time it gets nothing, and nobody could log in: then `nice`, a tenth of a share.
 */
export type Manner = 'idle' | 'nice';
const NICENESS = 10;

export type Verb = 'hash' | 'verify';

/**
 * A process, not a thread: argon2 takes and returns 19 MiB for every hash, and a thread that gives way while it holds the
 * lock on the memory they share keeps the event loop waiting until nobody else wants the core. In there, all threads give
 * way alike. It does so once it has started: that takes a twentieth of a second, or ten times as long when giving way.
 *
 * As text, since it must be found beside the compiled files and beside their sources, which Node does not run. Of
 * scheduling classes Node knows nothing, so `chrt` of util-linux is asked; where there is none, a niceness must do.
 */
const PROCESS = `
  const { execFileSync } = require('node:child_process');
  const { setPriority } = require('node:os');
  const [library, manner, niceness] = process.argv.slice(1);
  process.once('disconnect', () => process.exit());
  // Whoever told us to hash tells us to go.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  const verbs = require(library);
  setPriority(Number(niceness));
  if (process.platform === 'linux' && manner === 'idle') {
    try {
      execFileSync('chrt', ['-a', '-i', '-p', '0', String(process.pid)], { stdio: 'ignore' });
    } catch {}
  }
  // Whoever asked may be gone by then, killed: that is no error to tell of.
  const answer = (message) => process.send(message, (error) => error && process.exit());
  process.on('message', async ({ id, verb, args }) => {
    const startedAt = performance.now();
    try {
      const value = await verbs[verb](...args);
      answer({ id, value, tookMs: performance.now() - startedAt });
    } catch (error) {
      answer({ id, error });
    }
  });
  answer({ id: 0 });
`;

const LIBRARY = createRequire(import.meta.url).resolve('@node-rs/argon2');

export type Answer = { id: number } & ({ value: unknown; tookMs: number } | { error: unknown });

export interface HashingProcess {
  ask: (verb: Verb, args: unknown[]) => Promise<Answer>;
  /** Resolves when it has started, and gives way. */
  ready: Promise<unknown>;
  isReady: () => boolean;
  isFree: () => boolean;
  /** Whatever it was asked fails. */
  kill: () => void;
  ended: Promise<void>;
}

export function openHashingProcess(manner: Manner): HashingProcess {
  const child = spawn(process.execPath, ['-e', PROCESS, LIBRARY, manner, String(NICENESS)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
    // It needs nothing of ours, secrets least of all.
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  });
  const asked = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  let latest = 0;

  /** Its first answer, to nobody's question, tells that it has started. */
  function expect(id: number): Promise<Answer> {
    return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
  }

  let isReady = false;
  const ready = expect(latest).then(() => (isReady = true));
  ready.catch(() => undefined); // Told to whoever waits for it.
  child.on('message', (answer: Answer) => {
    asked.get(answer.id)?.resolve(answer);
    asked.delete(answer.id);
    if (asked.size === 0) rest();
  });
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      for (const { reject } of asked.values()) reject(new Error('the process that hashes has ended'));
      asked.clear();
      resolve();
    };
    child.once('exit', end);
    child.on('error', end); // One that never began has no exit.
  });

  /** It keeps us alive as long as it takes, and no longer: a process that is free is none's business. */
  function rest(): void {
    child.channel?.unref();
  }

  child.unref();
  return {
    ask: (verb, args) => {
      const answer = expect((latest += 1));
      child.channel?.ref();
      child.send({ id: latest, verb, args }, (error) => {
        if (error !== null) child.kill('SIGKILL');
      });
      return answer;
    },
    ready,
    isReady: () => isReady,
    isFree: () => asked.size === 0,
    kill: () => {
      child.ref(); // Its end is waited for.
      child.kill('SIGKILL');
    },
    ended,
  };
}
