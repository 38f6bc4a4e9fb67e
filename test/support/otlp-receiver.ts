// A collector: takes spans by OTLP over HTTP in protobuf, and keeps them as they were sent.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  /** Empty for the first span of a trace. */
  parentSpanId: string;
  traceState: string;
  name: string;
  /** 1: within the process, 2: server, 3: client. */
  kind: number;
  durationMs: number;
  attributes: Record<string, unknown>;
  events: string[];
  links: { traceId: string; spanId: string }[];
  /** 0: not set, 2: error. */
  status: { code: number; message: string };
  /** Attributes of the process. */
  resource: Record<string, unknown>;
}

export interface OtlpReceiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  url: string;
  spans: ReceivedSpan[];
  /** What has been sent, byte for byte. */
  bodies: Buffer[];
  /** Path and headers of each request. */
  requests: { path: string; headers: NodeJS.Dict<string | string[]> }[];
  /** Answers by this status from now on; null: never. */
  answerBy: (status: number | null) => void;
  named: (name: string) => ReceivedSpan[];
  close: () => Promise<void>;
}

export async function openOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  const requests: OtlpReceiver['requests'] = [];
  let status: number | null = 200;
  const server = createServer((request, response) => {
    const read = (body: Buffer) => {
      requests.push({ path: request.url ?? '', headers: request.headers });
      if (status === null) return;
      if (status === 200) {
        bodies.push(body);
        spans.push(...readRequest(body));
      }
      response.writeHead(status).end();
    };
    // A request that its sender gives up has no body.
    buffer(request).then(read, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    requests,
    answerBy: (next) => (status = next),
    named: (name) => spans.filter((span) => span.name === name),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** By number of the field, as opentelemetry/proto/trace/v1/trace.proto gives them. */
function readRequest(body: Buffer): ReceivedSpan[] {
  return messages(readFields(body), 1).flatMap((ofResource) => {
    const resource = readAttributes(messages(ofResource, 1)[0], 1);
    return messages(ofResource, 2).flatMap((ofScope) =>
      messages(ofScope, 2).map((span) => readSpan(span, resource)),
    );
  });
}

function readSpan(span: Fields, resource: Record<string, unknown>): ReceivedSpan {
  const [status] = messages(span, 15);
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    traceState: bytes(span, 3).toString(),
    parentSpanId: bytes(span, 4).toString('hex'),
    name: bytes(span, 5).toString(),
    kind: number(span, 6),
    durationMs: number(span, 8) / 1e6 - number(span, 7) / 1e6,
    attributes: readAttributes(span, 9),
    events: messages(span, 11).map((event) => bytes(event, 2).toString()),
    links: messages(span, 13).map((link) => ({
      traceId: bytes(link, 1).toString('hex'),
      spanId: bytes(link, 2).toString('hex'),
    })),
    status: { code: number(status, 3), message: bytes(status, 2).toString() },
    resource,
  };
}

function readAttributes(fields: Fields | undefined, field: number): Record<string, unknown> {
  return Object.fromEntries(
    messages(fields, field).map((pair) => {
      const [value] = messages(pair, 2);
      const text = value?.get(1);
      return [bytes(pair, 1).toString(), text === undefined ? number(value, 3) : text[0]?.toString()];
    }),
  );
}

/** Of a message: what each field holds, in the order in which it came. Numbers are read as far as a double goes. */
type Fields = Map<number, (Buffer | number)[]>;

function readFields(message: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  function readVarint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message.readUInt8(at++);
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  }
  function readValue(type: number): Buffer | number {
    if (type === 0) return readVarint();
    if (type === 1) return Number(message.readBigUInt64LE((at += 8) - 8));
    if (type === 5) return message.readUInt32LE((at += 4) - 4);
    if (type !== 2) throw new Error(`a field of type ${type}`);
    const length = readVarint();
    return message.subarray(at, (at += length));
  }
  while (at < message.length) {
    const key = readVarint();
    const field = Math.floor(key / 8);
    fields.set(field, [...(fields.get(field) ?? []), readValue(key % 8)]);
  }
  return fields;
}

function messages(fields: Fields | undefined, field: number): Fields[] {
  return (fields?.get(field) ?? []).map((value) => readFields(value as Buffer));
}

function bytes(fields: Fields | undefined, field: number): Buffer {
  return (fields?.get(field)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
}

function number(fields: Fields | undefined, field: number): number {
  return (fields?.get(field)?.[0] as number | undefined) ?? 0;
}
