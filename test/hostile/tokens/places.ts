// Every place that takes a token, and what each of them said: one word per answer, by rules that are as strict as may be.
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';

import { basic, bearer, type Replica, type TestClient } from '../../support/house.js';
import { parseChallenges } from './challenge.js';
import type { Kind, Stage } from './stage.js';

/** A body or a head of more than this is refused unread (contract section 3). */
const LIMIT_BYTES = 16 * 1024;

/** What else is in the head of a request, at most. */
const HEAD_BYTES = 500;

const CHUNK_BYTES = 8 * 1024;
const DEADLINE_MS = 10_000;

export type Verdict =
  | 'refused'
  | 'too large'
  | 'malformed'
  | 'accepted'
  | `5xx: ${string}`
  | `odd: ${string}`;

interface Answer {
  statusCode: number;
  headers: Record<string, unknown>;
  body: string;
}

type Request = InjectOptions & { method: 'GET' | 'POST' | 'DELETE'; url: string };

interface PlaceOf {
  /** The kind that is taken here; null for both. */
  takes: Kind | null;
  isHeader: boolean;
  write: (token: string, client: TestClient) => Request;
  read: (answer: Answer) => Verdict;
  /** Takes an empty text for one of many tokens. */
  isForMany?: true;
  /** How long a body may be, in bytes: 16 KiB where nothing is said. */
  limitBytes?: number;
}

const form = (url: string, token: string, client: TestClient): Request => ({
  method: 'POST',
  url,
  headers: { ...basic(client), 'content-type': 'application/x-www-form-urlencoded' },
  payload: new URLSearchParams({ token }).toString(),
});

function inHeader(method: Request['method'], url: string): PlaceOf {
  const write = (token: string): Request => ({ method, url, headers: bearer(token) });
  return { takes: 'access', isHeader: true, write, read: readRefusal };
}

function inBody(url: string): PlaceOf {
  const write = (token: string): Request => ({ method: 'POST', url, payload: { refresh_token: token } });
  return { takes: 'refresh', isHeader: false, write, read: readRefusal };
}

const NO_SESSION = '019a0000-0000-7000-8000-000000000000';

export const PLACES = {
  '/session': inHeader('GET', '/session'),
  '/session/*': inHeader('POST', '/session/any/thing'),
  '/sessions': inHeader('GET', '/sessions'),
  '/sessions/:id': inHeader('DELETE', `/sessions/${NO_SESSION}`),
  '/logout': inHeader('POST', '/logout'),
  '/logout-all': inHeader('POST', '/logout-all'),
  '/refresh body': inBody('/refresh'),
  '/logout body': inBody('/logout'),
  '/introspect': {
    takes: 'access',
    isHeader: false,
    write: (token, client) => form('/introspect', token, client),
    read: readIntrospection,
  },
  '/introspect/batch': {
    takes: 'access',
    isHeader: false,
    isForMany: true,
    limitBytes: 1024 * 1024,
    // Twice, with another text between them: each is judged by itself.
    write: (token, client) => ({
      method: 'POST',
      url: '/introspect/batch',
      headers: basic(client),
      payload: { tokens: [token, `${token} `, token] },
    }),
    read: readIntrospections,
  },
  '/revoke': {
    takes: null,
    isHeader: false,
    write: (token, client) => form('/revoke', token, client),
    read: readRevocation,
  },
} as const satisfies Record<string, PlaceOf>;

export type Place = keyof typeof PLACES;

export const ALL_PLACES = Object.keys(PLACES) as Place[];

export const HEADER_PLACES = ALL_PLACES.filter((place) => PLACES[place].isHeader);

/** The places whose answer tells what was thought of a token; at `/revoke` only the rows do. */
export const TELLING_PLACES = ALL_PLACES.filter((place) => place !== '/revoke');

const MOST_RETRIES = 5;

let networks = 0;

/** Each request from a network of its own: how often one may ask is not what these tests are about. */
function nextNetwork(): string {
  networks += 1;
  return [10, networks >> 16, networks >> 8, networks].map((byte) => byte & 0xff).join('.');
}

/** Sends a token to a place; whatever is too large for the head of a request goes over a socket. */
export async function sendTo({ replica, client }: Stage, place: Place, token: string): Promise<Verdict> {
  const { isHeader, write, read }: PlaceOf = PLACES[place];
  const request = { ...write(token, client), remoteAddress: nextNetwork() };
  const isOversize = isHeader && token.length + HEAD_BYTES > LIMIT_BYTES;
  const send = () => (isOversize ? stream(replica, request, token) : replica.app.inject(request));
  let answer = await send();
  // A machine that stood still for the service's deadline is nothing that a token did: one that did it does it each time.
  for (let again = 1; answer.statusCode === 503 && again <= MOST_RETRIES; again += 1) answer = await send();
  return read({ statusCode: answer.statusCode, headers: answer.headers, body: answer.body });
}

/** Sends a token in a header of a request that Node itself has to read. */
export async function sendOverSocket(
  { replica, client }: Stage,
  place: Place,
  token: string,
): Promise<Verdict> {
  const { write, read }: PlaceOf = PLACES[place];
  return read(await stream(replica, write(token, client), token));
}

/** What the contract has a place say of a hostile token: only its length, and whether it is there at all, counts. */
export function dueAt(place: Place, token: string, client: TestClient): Verdict {
  const { isHeader, write, isForMany, limitBytes = LIMIT_BYTES }: PlaceOf = PLACES[place];
  if (isHeader) return token.length + HEAD_BYTES > LIMIT_BYTES ? 'too large' : 'refused';
  if (token === '') return isForMany === true ? 'refused' : 'malformed';
  const { payload } = write(token, client);
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return Buffer.byteLength(body) > limitBytes ? 'too large' : 'refused';
}

function readRefusal(answer: Answer): Verdict {
  const { statusCode, headers } = answer;
  if (statusCode < 300) return 'accepted';
  // What the door lets in, and does not find a session for, was believed.
  if (statusCode === 404) return 'accepted';
  if (statusCode !== 401) return readOther(answer);
  if (errorIn(answer) !== 'invalid_token') return odd(answer);
  if ('refreshed-api-token' in headers || 'x-auth-subject' in headers) return odd(answer);
  return isTokenChallenge(String(headers['www-authenticate'])) ? 'refused' : odd(answer);
}

/** Whether it is one challenge, of ours, that says what is wrong with the token. */
function isTokenChallenge(text: string): boolean {
  try {
    const [{ scheme, parameters }, ...others] = parseChallenges(text);
    const { realm, error, error_description: description = '' } = parameters;
    if (scheme !== 'Bearer' || realm !== 'gatehouse' || others.length > 0) return false;
    // RFC 6750 section 3: the characters of a description.
    return error === 'invalid_token' && /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(description);
  } catch {
    return false; // It is against the grammar, and will be shown as it is.
  }
}

function readIntrospection(answer: Answer): Verdict {
  const { statusCode, headers, body } = answer;
  if (statusCode !== 200) return readOther(answer);
  if (body !== '{"active":false}') return body.includes('"active":true') ? 'accepted' : odd(answer);
  return 'refreshed-api-token' in headers ? odd(answer) : 'refused';
}

/** Both of the same text, and the one with a space, which is none of ours with any text. */
function readIntrospections(answer: Answer): Verdict {
  const { statusCode, body } = answer;
  if (statusCode !== 200) return readOther(answer);
  if (body === '{"results":[{"active":false},{"active":false},{"active":false}]}') return 'refused';
  const { results } = JSON.parse(body) as { results: { active: boolean }[] };
  return results.map(({ active }) => active).join() === 'true,false,true' ? 'accepted' : odd(answer);
}

/** RFC 7009 section 2.2: one answer, whatever it was. */
function readRevocation(answer: Answer): Verdict {
  if (answer.statusCode !== 200) return readOther(answer);
  return answer.body === '' && !('refreshed-api-token' in answer.headers) ? 'refused' : odd(answer);
}

function readOther(answer: Answer): Verdict {
  const { statusCode, headers } = answer;
  if (statusCode >= 500) return `5xx: ${statusCode} ${answer.body}`;
  if ('www-authenticate' in headers || 'refreshed-api-token' in headers) return odd(answer);
  const error = errorIn(answer);
  if (statusCode === 413 && error === 'too_large') return 'too large';
  if (statusCode === 431 && error === 'headers_too_large') return 'too large';
  return statusCode === 400 && error === 'invalid_request' ? 'malformed' : odd(answer);
}

function odd({ statusCode, headers, body }: Answer): Verdict {
  return `odd: ${statusCode} ${JSON.stringify(headers)} ${body.slice(0, 200)}`;
}

function errorIn({ body }: Answer): unknown {
  try {
    return (JSON.parse(body) as { error?: unknown }).error;
  } catch {
    return undefined;
  }
}

/** Over a real socket, where Node counts what a head holds; stops sending as soon as there is an answer. */
async function stream({ app }: Replica, { method, url }: Request, token: string): Promise<Answer> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1').setEncoding('latin1').setTimeout(DEADLINE_MS);
  let text = '';
  // The server hangs up on us while we still send.
  socket.on('error', () => undefined);
  socket.on('timeout', () => socket.destroy());
  socket.on('data', (chunk: string) => (text += chunk));
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  socket.write(
    `${method} ${url} HTTP/1.1\r\nHost: gatehouse.test\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: Bearer `,
  );
  for (let at = 0; at < token.length && !socket.destroyed && text === ''; at += CHUNK_BYTES) {
    socket.write(token.slice(at, at + CHUNK_BYTES), 'latin1');
    // Twice, so that an answer is read before a write to a closed connection can fail.
    for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (text === '' && !socket.destroyed) socket.write('\r\n\r\n');
  await closed;
  return parseAnswer(text);
}

function parseAnswer(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.replace(/:.*/, '').toLowerCase(), line.replace(/^[^:]*: ?/, '')]),
  );
  return { statusCode: Number(statusLine.split(' ')[1] ?? 0), headers, body };
}
