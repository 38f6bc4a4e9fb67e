/** Words for the person at the terminal: why the service does not start, or a command does nothing. */

/** Its message says what is wrong, where, and what to do next. It is shown as it is, so it never holds a password. */
export class StartError extends Error {
  override name = 'StartError';
}
