// Why there is no PostgreSQL to be had: one line for the operator that says what is wrong and what to do next.

/** Its message is shown as it is, so it never holds a password. */
export class LocalPostgresRefusal extends Error {
  override readonly name = 'LocalPostgresRefusal';
}
