// A client that owes HTTP nothing: sends any bytes at any pace, reads or does not, and says what came back and when it ended.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';

import { problemOf, type Refusal } from './answers.js';

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface RawClient {
  socket: Socket;
  /** All that has come back so far. */
  received: () => string;
  /** When the connection was over, counted from its beginning; whoever ended it. */
  closed: Promise<number>;
}

/** Connects, and sends what is given at once. It never ends the connection by itself, not even its own half. */
export function connectRaw(port: number, bytes: string | Buffer = ''): RawClient {
  const startedAt = performance.now();
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  // How it ends is said by what was received: a reset is one way to be closed.
  socket.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => {
    const end = () => {
      resolve(performance.now() - startedAt);
      socket.destroy();
    };
    socket.once('end', end);
    socket.once('close', end);
  });
  if (bytes.length > 0) socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  return { socket, received: () => Buffer.concat(chunks).toString('latin1'), closed };
}

/** Sends bytes, waits until the service has closed the connection, and reads the answers. Fails if it stays open. */
export async function exchange(port: number, bytes: string | Buffer, waitMs = 20_000): Promise<RawAnswer[]> {
  const client = connectRaw(port, bytes);
  const ended = await Promise.race([client.closed, sleep(waitMs, null)]);
  client.socket.destroy();
  expect(ended, `still open, after ${JSON.stringify(client.received().slice(0, 300))}`).not.toBeNull();
  return readAnswers(client.received());
}

/** Every answer in a stream, by its own Content-Length; fails on bytes that belong to none. */
export function readAnswers(stream: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = stream; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    expect(statusLine, 'a status line').toMatch(/^HTTP\/1\.1 [1-5]\d\d [\w' -]+$/);
    const names = lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
    expect(new Set(names).size, 'no header twice').toBe(names.length);
    const headers: Record<string, string> = Object.fromEntries(
      lines.map((line, at) => [names[at] ?? '', line.replace(/^[^:]*: ?/, '')]),
    );
    const length = Number(headers['content-length'] ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    expect(body, 'the whole body').toHaveLength(length);
    answers.push({ status: Number(statusLine.split(' ')[1]), headers, body });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

/** Reads a refusal as strictly as an injected one. */
export function refusalOf({ status, headers, body }: RawAnswer): Refusal {
  return problemOf({ statusCode: status, headers, body, json: () => JSON.parse(body) as unknown } as never);
}
