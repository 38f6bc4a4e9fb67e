/** Starts the command line: the only place of it that knows this process, its environment and its streams. */
import { explainCrashes, explainFailure, loadDotEnv } from '../environment.js';
import { hearSignals } from '../signals.js';
import { run } from './program.js';

async function main(): Promise<number> {
  loadDotEnv();
  const { env: environment, stdin, stdout, stderr } = process;
  return await run(process.argv.slice(2), { environment, stdin, stdout, stderr, beforeSignals });
}

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
    if (code !== 'EPIPE' && code !== 'EIO') throw new Error(`the output cannot be written (${code ?? ''})`);
  });
}

explainCrashes();
main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = 1;
  },
);
