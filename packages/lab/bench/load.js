// Starts the processes that ask, and describes what they send.
import { fork } from 'node:child_process';
import { once } from 'node:events';

const GENERATOR = new URL('./load-process.js', import.meta.url);
const CALLER = new URL('./caller-process.js', import.meta.url);

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
export function putLoad(job) {
  return handOver(GENERATOR, job);
}

/**
 * Has a resource server's process ask about tokens through its package, so many at once and each as soon as one was answered.
 *
 * @param job.port of Gatehouse on 127.0.0.1
 * @param job.client {id, secret} of a client that may introspect
 * @param job.known, job.fresh tokens: those that were seen before in turn, again and again, and after each `job.seenOfEachNew` of
 *   them a fresh one; it ends early when none of these is left
 * @param job.underWay questions at once
 * @param job.isSingly has each of these places ask through a guard of its own, which has no other question to join
 * @param job.durationMs
 * @returns {Promise<{tookMs, failed, verdicts, callerCpuUs}>} `verdicts`: {count, p50, p99, max} of live tokens, times in ms;
 *   `failed`: everything else; `callerCpuUs`: of all threads of the caller, meanwhile
 */
export function askThroughPackage(job) {
  return handOver(CALLER, job);
}

/** Gives a job to a process that runs this file, and tells its report. */
async function handOver(file, job) {
  idle[file] ??= [];
  const worker = idle[file].pop() ?? fork(file, { serialization: 'advanced', execArgv: ['--expose-gc'] });
  const over = new AbortController();
  const { signal } = over;
  worker.ref();
  worker.channel.ref();
  try {
    const ended = once(worker, 'exit', { signal }).then(() => fail(file));
    const reported = once(worker, 'message', { signal });
    worker.send(job);
    const [report] = await Promise.race([reported, ended]);
    idle[file].push(worker);
    return report;
  } finally {
    over.abort();
    worker.unref();
    worker.channel?.unref();
  }
}

function fail(file) {
  throw new Error(`a process of ${file} has ended by itself`);
}

/** By file, processes that wait for a job: a new one has its code to compile first. They end with this process. */
const idle = {};

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
