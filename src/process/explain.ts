/**
 * What the start of the service and the command line say when they fail. The code that knows the cause writes the words: as
 * a StartError (of the database: database/first-connection.ts; of the port: http/server/port.ts) or as a Refusal of a command. This
 * file has the words for all other errors. The log has domain/reports/failures.ts, and the build, which runs before anything can be
 * imported, has scripts/installed.js.
 */
import { ConfigError } from '../config/config.js';
import { DatabaseUnavailable } from '../database/unavailable.js';
import { STALLED } from '../database/stalled-commits.js';
import { StartError } from '../database/start-error.js';
import { FOREIGN } from '../database/verify-connection.js';
import { WrongSecret } from '../domain/errors.js';
import { describeFailure, writeFailure } from '../domain/reports/failures.js';

/** What is wrong, where, and what to do next; places in the code, and no words, for what nobody foresaw. */
export function explainFailure(error: unknown): string {
  if (error instanceof StartError) return error.message;
  if (error instanceof ConfigError) {
    const problems = error.problems.map((problem) => `  ${problem}`);
    return ['the configuration is wrong, see .env.example:', ...problems].join('\n');
  }
  if (error instanceof WrongSecret) {
    return (
      'AUTH_SECRET does not open the signing keys in this database: set the secret that they were made with, ' +
      'or AUTH_SECRET_PREVIOUS to it and run `gatehouse keys reencrypt`; if it is lost, see `gatehouse keys reset --help`'
    );
  }
  // These say themselves what to do.
  if (error instanceof DatabaseUnavailable && [FOREIGN, STALLED].includes(error.message))
    return error.message;
  if (error instanceof DatabaseUnavailable) {
    return (
      `the database cannot be asked: ${error.message}; check that PostgreSQL runs, accepts writes and is not ` +
      'overloaded, and try again'
    );
  }
  return (
    'this error is not foreseen; report it with the lines below, which hold no password and no setting:\n' +
    writeFailure(describeFailure(error))
  );
}

/** The same as it stands on standard error. */
export function writeExplanation(error: unknown): string {
  return `gatehouse: ${explainFailure(error)}\n`;
}

/** Ends the process as Node does on an error that nobody caught, which Node would print with all that the error holds. */
export function explainCrashes(): void {
  process.on('uncaughtException', (error) => {
    process.stderr.write(writeExplanation(error), () => process.exit(1));
  });
}
