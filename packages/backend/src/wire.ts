/** One request to Gatehouse: sent once, to one address, with a deadline; and an answer that is read no further than one of Gatehouse can be. */
import { BackendError, unexpected, type Issue } from './errors.js';
import type { Settings } from './options.js';

/** Of an answer that Gatehouse has given. */
export interface Told {
  status: number;
  /** Empty for 204. */
  body: Record<string, unknown>;
}

export interface Wire {
  /**
   * @param path below the address of Gatehouse
   * @param expected the one status that is a success
   * @throws {BackendError} for everything else
   */
  ask: (method: string, path: string, expected: 200 | 201 | 204, body?: object) => Promise<Told>;
}

/** Twice what two long tokens, or all that is said of a session, need. */
const MAX_ANSWER_BYTES = 32 * 1024;
const MAX_RETRY_AFTER_SECONDS = 3600;
const MAX_DETAIL_CHARACTERS = 500;
const MAX_ISSUES = 20;

const CODE = /^[a-z][a-z_]{0,63}$/;

export function createWire({ base, authorization, secrets, fetch, timeoutMs }: Settings): Wire {
  return {
    ask: async (method, path, expected, body) => {
      const request = {
        method,
        headers: {
          authorization,
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The secret goes to the address that was given, and to no other.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      } as const;
      const { response, text } = await send(base + path, request);
      const { status } = response;
      if (status !== expected) throw refusalOf(response, text, secrets);
      if (status === 204) return { status, body: {} };
      const read = hasType(response, 'application/json') ? parse(text) : null;
      if (read === null) throw unexpected(status, 'sent no JSON object');
      return { status, body: read };
    },
  };

  async function send(
    url: string,
    request: RequestInit,
  ): Promise<{ response: Response; text: string | null }> {
    try {
      const response = await fetch(url, request);
      return { response, text: await readText(response) };
    } catch (cause) {
      const why = isTimeout(cause) ? `within ${timeoutMs} ms` : 'at the address of the option `url`';
      throw new BackendError('unreachable', `Gatehouse gave no answer ${why}.`, { cause });
    }
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** The whole body; null for one that is longer than any of Gatehouse, which is not read to its end. */
async function readText({ body }: Response): Promise<string | null> {
  const reader = body?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const chunk = (await reader.read()).value as Uint8Array | undefined;
    if (chunk === undefined) return text + decoder.decode();
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) {
      // The answer counts already; how its rest ends does not.
      reader.cancel().catch(() => undefined);
      return null;
    }
    text += decoder.decode(chunk, { stream: true });
  }
}

function hasType({ headers }: Response, type: string): boolean {
  return headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() === type;
}

function parse(text: string | null): Record<string, unknown> | null {
  try {
    return objectOf(JSON.parse(text ?? ''));
  } catch {
    // What the parser says quotes what it read.
    return null;
  }
}

function objectOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** Problem details of the service (RFC 9457). What says something else may be a proxy. */
function refusalOf(response: Response, text: string | null, secrets: readonly string[]): BackendError {
  const { status } = response;
  const retryAfterSeconds = retryAfterOf(response);
  const problem = hasType(response, 'application/problem+json') ? parse(text) : null;
  const code = problem?.['error'];
  if (status < 400 || problem === null || typeof code !== 'string' || !CODE.test(code))
    return unexpected(status, 'not as Gatehouse does', { retryAfterSeconds });
  const write = (said: unknown): string => hide(said, secrets);
  const errors = issuesOf(problem['errors'], write);
  const said = [write(problem['detail']), ...(errors ?? []).map(({ path, message }) => `${path} ${message}`)];
  const message = `Gatehouse answered ${status} ${code}: ${said.filter((each) => each !== '').join(' ')}`;
  return new BackendError(code, message, { status, retryAfterSeconds, errors });
}

function issuesOf(said: unknown, write: (said: unknown) => string): Issue[] | undefined {
  if (!Array.isArray(said)) return undefined;
  return said.slice(0, MAX_ISSUES).map((issue: unknown) => {
    const { path, message } = objectOf(issue) ?? {};
    return { path: write(path), message: write(message) };
  });
}

/** What was said, as one short line without control characters and secrets: it goes into logs. */
function hide(said: unknown, secrets: readonly string[]): string {
  if (typeof said !== 'string') return '';
  const line = said.replaceAll(/\p{Cc}+/gu, ' ');
  return secrets.reduce((text, secret) => text.replaceAll(secret, '…'), line).slice(0, MAX_DETAIL_CHARACTERS);
}

function retryAfterOf({ headers }: Response): number | undefined {
  const text = headers.get('retry-after') ?? '';
  return /^[0-9]{1,6}$/.test(text) ? Math.min(Number(text), MAX_RETRY_AFTER_SECONDS) : undefined;
}
