// Connections that are kept, each to one worker of a service: requests on one are answered by the same process.
import { Agent, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Service } from './service.js';

export interface Connection {
  /** Of the process that answers here. */
  pid: number;
  ask: (method: string, path: string, options?: RequestOptions) => Promise<ConnectionAnswer>;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  /** JSON unless it is a form. */
  body?: object | URLSearchParams;
}

export interface ConnectionAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

/** Opens so many at a service that logs at debug, in which each process names itself. */
export async function openConnections(service: Service, count: number): Promise<Connection[]> {
  // Before all serve, one takes all connections.
  while (!service.output.stdout.includes('listening on')) await sleep(5);
  const connections: Connection[] = [];
  while (connections.length < count) {
    const ask = openConnection(service);
    const { headers } = await ask('GET', '/health');
    connections.push({ ask, pid: await findPid(service, String(headers['x-request-id'])) });
  }
  return connections;
}

function openConnection({ port }: Service): Connection['ask'] {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return async (method, path, { headers = {}, body } = {}) => {
    const isForm = body instanceof URLSearchParams;
    const type = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
    const sent = request({
      agent,
      port,
      host: '127.0.0.1',
      method,
      path,
      headers: { ...(body === undefined ? {} : { 'content-type': type }), ...headers },
    });
    sent.end(isForm ? body.toString() : body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
  };
}

async function findPid(service: Service, requestId: string): Promise<number> {
  for (;;) {
    const line = linesOf(service).find(({ reqId }) => reqId === requestId);
    if (line !== undefined) return Number(line['pid']);
    await sleep(5);
  }
}

/** What a service has logged so far. */
export function linesOf({ output }: Service): Record<string, unknown>[] {
  const whole = output.stdout.slice(0, output.stdout.lastIndexOf('\n'));
  return whole.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}
