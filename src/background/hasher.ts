/** A process that hashes and verifies passwords for the service, with argon2 but for hashes that others have made. It gives way to all other work, and ends with the service. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { getPriority, setPriority } from 'node:os';
import type * as argon2 from '@node-rs/argon2';

import { verifyForeign } from './foreign.js';

/**
 * How the process gives way, on Linux. `idle` runs when no other process wants the core, and leaves it at once when one
 * does: with a mere niceness every answer of the service waits for the end of a time slice, several times over. But where
 * others want all cores all the time an `idle` process gets nothing, and no user could log in: then `nice`, which gets a
 * tenth of a share.
 */
export type Manner = 'idle' | 'nice';

/** What the service sends. */
export type HashingTask =
  | { verb: 'hash'; args: Parameters<typeof argon2.hashSync> }
  | { verb: 'verify'; args: Parameters<typeof argon2.verifySync> }
  | { verb: 'verifyForeign'; args: Parameters<typeof verifyForeign> };

/** What the process answers. */
export type HashingAnswer<Value> = { value: Value; tookMs: number } | { error: unknown };

const NICENESS = 10;

const require = createRequire(import.meta.url);
const manner = process.argv[2] as Manner;

process.once('disconnect', () => process.exit());
// A terminal sends these signals to the service and to this process. The service may still need hashes before it ends.
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGBREAK'] as const)
  process.on(signal, () => undefined);
giveWay();

// By `require`, since it is a CommonJS module: `import` also parses it for its names, which costs each process 2 MB.
const { hashSync, verifySync } = require('@node-rs/argon2') as typeof argon2;

process.on('message', (task: HashingTask) => {
  try {
    const startedAt = performance.now();
    const value = perform(task);
    answer({ value, tookMs: performance.now() - startedAt });
  } catch (error) {
    answer({ error });
  }
});

function giveWay(): void {
  // A process that was started with a higher niceness may not ask for a lower one.
  setPriority(Math.max(NICENESS, getPriority()));
  if (process.platform !== 'linux' || manner !== 'idle') return;
  try {
    // Node cannot set a scheduling class, so `chrt` of util-linux does. Where it is missing, the niceness has to do.
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)], { stdio: 'ignore' });
  } catch {
    return;
  }
}

function perform(task: HashingTask): string | boolean {
  if (task.verb === 'verifyForeign') return verifyForeign(...task.args);
  return task.verb === 'hash' ? hashSync(...task.args) : verifySync(...task.args);
}

function answer(message: HashingAnswer<string | boolean>): void {
  // The service may have been killed meanwhile. Then there is nobody left to work for.
  process.send?.(message, (error: Error | null) => {
    if (error !== null) process.exit();
  });
}
