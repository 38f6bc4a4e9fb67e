/** Starts the command line: the only place of it that knows this process, its environment and its streams. */
import { run } from './program.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(): Promise<number> {
  const { stdin, stdout, stderr } = process;
  return await run(process.argv.slice(2), { environment, stdin, stdout, stderr, beforeSignals });
}

/** Read by the commands that need it: help does not. */
async function environment(): Promise<NodeJS.ProcessEnv> {
  const { loadDotEnv } = await import('../environment.js');
  loadDotEnv(process.env);
  return process.env;
}

/** A second signal does not wait for what the first one waits for. */
function beforeSignals(leave: () => Promise<unknown>): () => void {
  const forget = () => {
    for (const name of SIGNALS) process.off(name, end);
  };
  function end(signal: NodeJS.Signals): void {
    forget();
    const die = () => process.kill(process.pid, signal);
    leave().then(die, die);
  }
  for (const name of SIGNALS) process.on(name, end);
  return forget;
}

// Whoever reads us may stop early, as `head` does: that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.on('uncaughtException', fail);
main().then((status) => (process.exitCode = status), fail);

/** Says what went wrong without the values that the error holds, which Node would print. */
function fail(error: unknown): void {
  // What breaks from now on is for Node to print.
  process.off('uncaughtException', fail);
  void import('../environment.js').then(({ explainFailure }) => {
    process.stderr.write(`${explainFailure(error)}\n`, () => process.exit(1));
  });
}
