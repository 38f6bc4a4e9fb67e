// A web site for tests in a browser: pages, an API that asks Gatehouse about each request, and Gatehouse itself, all under one origin.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Built by `npm test`. */
const CLIENT = readFileSync(new URL('../../packages/browser/dist/gatehouse.js', import.meta.url));

/** What Gatehouse was asked through the site, and said. */
export interface Exchange {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  status: number;
  answered: IncomingMessage['headers'];
  body: string;
}

export interface Site {
  port: number;
  origin: string;
  /** All so far; clear it by `length = 0`. */
  exchanges: Exchange[];
  /** How many questions Gatehouse has not answered yet, also those whose page waits no more. */
  unanswered: () => number;
  /** Where Gatehouse listens; null while it has not been started. */
  upstream: { port: number | null };
  /** Pages by path: HTML. */
  pages: Map<string, string>;
  /** Keeps what is sent to a path waiting until so many wait there, or it has waited for long; later ones pass. */
  gather: (path: string, count: number) => Gathering;
  close: () => Promise<void>;
}

export interface Gathering {
  /** How many waited for each other. */
  met: number;
}

/** Leaves enough of the time that the client for browsers gives an answer. */
const LONGEST_GATHERING_MS = 6000;

interface Sent {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export async function openSite({ host = 'localhost' } = {}): Promise<Site> {
  const exchanges: Exchange[] = [];
  let unanswered = 0;
  const upstream: Site['upstream'] = { port: null };
  const pages = new Map<string, string>();
  const gatherings = new Map<string, Gathering & { count: number; over: Promise<void>; end: () => void }>();

  /** As a proxy does: nothing is changed on the way, and nobody there is a 502. */
  async function ask(sent: Sent, response: ServerResponse): Promise<void> {
    const { method, path, headers } = sent;
    await join(path);
    unanswered += 1;
    const answer = await forward(sent, upstream.port);
    unanswered -= 1;
    if (answer === null) {
      response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>');
      return;
    }
    const text = await readAll(answer);
    const { statusCode: status = 0, headers: answered, rawHeaders } = answer;
    exchanges.push({ method, path, headers, status, answered, body: text.toString() });
    response.writeHead(status, rawHeaders).end(text);
  }

  /** As a gateway does: asks `/session`, and brings what it says for the browser back to it. */
  async function guard({ method, path, headers, body }: Sent, response: ServerResponse): Promise<void> {
    const { cookie, authorization, origin, 'sec-fetch-site': site } = headers;
    const question = defined({ cookie, authorization, origin, 'sec-fetch-site': site });
    const answer = await forward(
      {
        method: 'GET',
        path: '/session',
        headers: { ...question, 'x-forwarded-method': method },
        body: NOTHING,
      },
      upstream.port,
    );
    const claims = (answer === null ? NOTHING : await readAll(answer)).toString();
    const { 'set-cookie': cookies, 'refreshed-api-token': successor } = answer?.headers ?? {};
    const status = answer?.statusCode ?? 502;
    exchanges.push({ method, path, headers, status, answered: answer?.headers ?? {}, body: claims });
    response.writeHead(status, {
      'cache-control': 'no-store',
      'content-type': 'text/plain',
      ...defined({ 'set-cookie': cookies, 'refreshed-api-token': successor }),
    });
    const { username = '' } = status === 200 ? (JSON.parse(claims) as { username: string }) : {};
    response.end(status === 200 ? `orders of ${username}${body.toString()}` : 'not for you');
  }

  async function join(path: string): Promise<void> {
    const gathering = gatherings.get(path);
    if (gathering === undefined) return;
    gathering.met += 1;
    if (gathering.met === 1) setTimeout(gathering.end, LONGEST_GATHERING_MS);
    if (gathering.met === gathering.count) gathering.end();
    await gathering.over;
  }

  function gather(path: string, count: number): Gathering {
    let resolve = () => {};
    const over = new Promise<void>((done) => (resolve = done));
    const end = () => {
      if (gatherings.get(path) === gathering) gatherings.delete(path);
      resolve();
    };
    const gathering = { met: 0, count, over, end };
    gatherings.set(path, gathering);
    return gathering;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request;
    const name = path.replace(/\?.*/, '');
    const page = pages.get(name);
    if (page !== undefined) {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
      return;
    }
    if (name === '/gatehouse.js') {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(CLIENT);
      return;
    }
    const sent = { method, path, headers, body: await readAll(request) };
    await (name.startsWith('/api/') ? guard(sent, response) : ask(sent, response));
  }

  const server = createServer((request, response) => {
    // A tab that is closed in the middle leaves nobody to tell.
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    origin: `http://${host}:${port}`,
    exchanges,
    unanswered: () => unanswered,
    upstream,
    pages,
    gather,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const NOTHING = Buffer.alloc(0);

/** The answer of whoever listens there, or null. */
async function forward(
  { method, path, headers, body }: Sent,
  port: number | null,
): Promise<IncomingMessage | null> {
  if (port === null) return null;
  // A connection for each: one that a stopped service left behind would look like a fault of the next.
  const request = send({ host: '127.0.0.1', port, method, path, headers, agent: false });
  request.end(body);
  try {
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return answer;
  } catch {
    return null;
  }
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await message.toArray());
}

function defined<Value>(members: Record<string, Value | undefined>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(members).filter((pair): pair is [string, Value] => pair[1] !== undefined),
  );
}
