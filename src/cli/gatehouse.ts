/** Starts the command line: the only place of it that knows this process, its environment and its streams. */
import { explainCrashes, explainFailure, loadDotEnv } from '../environment.js';
import { run } from './program.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(): Promise<number> {
  const { env, stdin, stdout, stderr } = process;
  return await run(process.argv.slice(2), {
    // Only when it is asked for: help and the answers to wrong usage need no configuration.
    get environment() {
      loadDotEnv(env);
      return env;
    },
    stdin,
    stdout,
    stderr,
    beforeSignals,
  });
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

explainCrashes();
main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    process.stderr.write(`${explainFailure(error)}\n`);
    process.exitCode = 1;
  },
);
