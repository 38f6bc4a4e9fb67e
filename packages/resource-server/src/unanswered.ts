/** Why a question got no answer that can be believed: for the log of whoever runs the resource server, never for its callers. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
  /** Whether it stays so until somebody changes the configuration. */
  readonly isMisconfigured: boolean;
  readonly retryAfterSeconds: number;

  /** @param message says what happened, and what to do where something can be done; holds no token and no secret */
  constructor(message: string, { isMisconfigured = false, retryAfterSeconds = 1 } = {}) {
    super(message);
    this.isMisconfigured = isMisconfigured;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
