// The refusal to start: one line for the operator that says what is wrong and what to do next.

/** Thrown before the service serves. Its message is shown as it is, so it never holds a password. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
