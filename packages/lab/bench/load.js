// Starts load generators, and describes what they send.
import { fork } from 'node:child_process';
import { once } from 'node:events';

const GENERATOR = new URL('./load-process.js', import.meta.url);

/**
 * Puts a load on a server and tells how it was answered.
 *
 * @param job.port on 127.0.0.1
 * @param job.connections kept alive for the whole time, one request at a time on each
 * @param job.durationMs
 * @param job.requests whole requests as text, sent in turn, again and again
 * @param job.once sends none of them twice, and ends early when none is left
 * @param job.chain {head, body, member}: every connection starts with a request of its own, and goes on with this one, in
 *   which `{}` stands for that member of the last answer
 * @param job.ratePerSecond an open loop of so many requests, instead of a closed one; arrivals from `job.seed`
 * @param job.sliceMs also tells `answers` by slices of so many ms: [{fromMs, answers}]
 * @returns {Promise<{tookMs, failed, dropped, answers, slices?}>} `failed`: connections that ended without an answer; `dropped`:
 *   requests that never found a free connection; `answers`: by status {count, p50, p99, max}, times in ms
 */
export async function putLoad(job) {
  const generator = idle.pop() ?? fork(GENERATOR, { serialization: 'advanced', execArgv: ['--expose-gc'] });
  const over = new AbortController();
  const { signal } = over;
  generator.ref();
  generator.channel.ref();
  try {
    const ended = once(generator, 'exit', { signal }).then(fail);
    const reported = once(generator, 'message', { signal });
    generator.send(job);
    const [report] = await Promise.race([reported, ended]);
    idle.push(generator);
    return report;
  } finally {
    over.abort();
    generator.unref();
    generator.channel?.unref();
  }
}

function fail() {
  throw new Error('a load generator has ended by itself');
}

/** Generators that wait for a load: a new one has its code to compile first. They end with this process. */
const idle = [];

/** One HTTP/1.1 request as text. */
export function requestText(method, path, headers, body = '') {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const length = body === '' ? '' : `content-length: ${Buffer.byteLength(body)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}${length}\r\n${body}`;
}

/** An address, and so a network, for each number: limits per network are not what is measured. */
export function addressOf(number) {
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}
