/** Starts the command line: the only place of it that knows this process, its environment and its streams. */
import { hearSignals } from '../process/signals.js';
import { Refusal } from './output.js';
import { run } from './program.js';

async function main(): Promise<number> {
  const { stdin, stdout, stderr } = process;
  return await run(process.argv.slice(2), { environment, stdin, stdout, stderr, beforeSignals });
}

/** Read by the commands that need it: help does not. */
async function environment(): Promise<NodeJS.ProcessEnv> {
  const { loadDotEnv } = await import('../process/environment.js');
  loadDotEnv(process.env);
  return process.env;
}

/** A second signal does not wait for what the first one waits for. */
function beforeSignals(leave: () => Promise<unknown>): () => void {
  const { told, forget } = hearSignals();
  void told.then(async (signal) => {
    await leave().catch(() => undefined);
    forget();
    process.kill(process.pid, signal);
  });
  return forget;
}

// Whoever reads us may stop early, as `head` does, or close the terminal: that is no failure of ours, and must not end
// us before an embedded PostgreSQL that we have started is told to stop.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || code === 'EIO') return;
    throw new Refusal(
      `the output cannot be written (${code ?? 'unknown error'}), and what the command has changed stays changed: ` +
        'make room where the output goes, or send it elsewhere',
    );
  });
}

process.on('uncaughtException', fail);
main().then((status) => (process.exitCode = status), fail);

/** Says what went wrong without the values that the error holds, which Node would print. */
function fail(error: unknown): void {
  // What breaks from now on is for Node to print.
  process.off('uncaughtException', fail);
  void import('../process/explain.js').then(({ writeExplanation }) => {
    process.stderr.write(writeExplanation(error), () => process.exit(1));
  });
}
