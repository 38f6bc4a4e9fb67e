/** How a call fails: one class for all that Gatehouse, or the way to it, may say. */
import type { ErrorCode } from '@gatehouse/protocol';
import type { ListedSession } from './api.js';

export interface ErrorDetails {
  cause?: unknown;
  retryAfterSeconds?: number | undefined;
  errors?: { path: string; message: string }[] | undefined;
}

/** Ours, where the service says nothing. */
type OwnCode = 'unreachable' | 'unexpected_answer' | 'cookies_refused';

/** What went wrong with a call to Gatehouse. Decide by `code`; `message` is a sentence in English. */
export class GatehouseError extends Error {
  override name = 'GatehouseError';
  /**
   * A code of the service, which never changes (`invalid_credentials`, `too_many_requests`, `temporarily_unavailable`, …),
   * or one of ours: `unreachable` (no answer: offline, blocked or too slow), `unexpected_answer` (not one of Gatehouse's,
   * perhaps a proxy's), `cookies_refused` (the browser kept none). Another text is the code of something in between.
   */
  readonly code: ErrorCode | OwnCode | (string & {});
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** How long to wait before another try, where the answer says it. */
  readonly retryAfterSeconds: number | undefined;
  /** What is wrong with which member of the request, for `invalid_request`. */
  readonly errors: { path: string; message: string }[] | undefined;

  constructor(code: GatehouseError['code'], message: string, status = 0, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.status = status;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.errors = details.errors;
  }
}

/** What may be in a body of the service: of a success, or problem details (RFC 9457). */
export interface Body {
  error?: string;
  title?: string;
  detail?: string;
  errors?: { path: string; message: string }[];
  sid?: string;
  session_id?: string;
  access_token?: string;
  refresh_token?: string;
  expires_in?: number;
  sessions_ended?: number;
  sessions?: ListedSession[];
}

/** The JSON of an answer, which stays readable; empty for anything else. Rejects when the answer breaks off. */
export async function bodyOf(response: Response): Promise<Body> {
  const text = await response.clone().text();
  try {
    return Object(JSON.parse(text)) as Body;
  } catch {
    return {};
  }
}

/** Whether the service says one of these. */
export function says({ error }: Body, ...codes: ErrorCode[]): boolean {
  return codes.some((code) => code === error);
}

export function errorOf(response: Response, body: Body): GatehouseError {
  const { status } = response;
  const { error = 'unexpected_answer', detail, title, errors } = body;
  const retryAfterSeconds = retryAfterOf(response);
  const message = detail ?? title ?? `The answer (${status}) is not one of Gatehouse.`;
  return new GatehouseError(error, message, status, { retryAfterSeconds, errors });
}

/** Seconds alone: a date would have to be held against the clock of this device. */
export function retryAfterOf(response: Response): number | undefined {
  const text = response.headers.get('retry-after') ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Gives whatever fails the same class, so that a page has one thing to catch. */
export async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof GatehouseError) throw cause;
    throw new GatehouseError('unreachable', 'Gatehouse does not answer.', 0, { cause });
  }
}
