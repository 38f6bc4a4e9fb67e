// The load generator's own process: sends prepared requests over plain sockets, and times the answers.
//
// Written here, since what there is for Node measures whole milliseconds, sends a fixed rate in one burst a second, or costs
// more per request than the servers under test, and would then be what is measured. Requests are prepared bytes; of an
// answer it reads the status, the length and, where the next request needs it, the body.
import { connect } from 'node:net';
import { createHistogram } from 'node:perf_hooks';

import { createRandom } from '../shared/random.js';
import { summaryOf } from './numbers.js';

const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** How long after the last request answers are waited for. */
const PATIENCE_MS = 10_000;

process.on('message', (job) => {
  void run(job).then((figures) => process.send(figures));
});

/** See load.js for what a job holds and what comes back. */
async function run(job) {
  const requests = job.requests.map((text) => Buffer.from(text));
  // What the load before this one has left is not to be collected while this one runs.
  gc();
  const state = {
    requests,
    job,
    next: 0,
    startedAt: performance.now(),
    endsAt: performance.now() + job.durationMs,
    statuses: new Map(),
    slices: new Map(),
    failed: 0,
    latestUs: 0,
  };
  const connections = await Promise.all(
    Array.from({ length: job.connections }, (_, index) => open(job.port, state, index)),
  );
  state.startedAt = performance.now();
  state.endsAt = state.startedAt + job.durationMs;
  if (job.ratePerSecond === undefined) await closedLoop(connections, state);
  else await openLoop(connections, state);
  const tookMs = performance.now() - state.startedAt;
  for (const { socket } of connections) socket.destroy();
  return {
    tookMs,
    failed: state.failed,
    dropped: state.dropped ?? 0,
    answers: summaries(state.statuses),
    ...(job.sliceMs === undefined ? {} : { slices: summariesOfSlices(state) }),
  };
}

function summaries(statuses) {
  return Object.fromEntries([...statuses].map(([status, histogram]) => [status, summaryOf(histogram)]));
}

/** In the order of time; those in which nothing came are left out. */
function summariesOfSlices({ slices, job }) {
  return [...slices]
    .sort(([a], [b]) => a - b)
    .map(([slice, statuses]) => ({ fromMs: slice * job.sliceMs, answers: summaries(statuses) }));
}

/** Each connection asks again as soon as it has been answered. */
async function closedLoop(connections, state) {
  await Promise.all(
    connections.map(async (connection) => {
      for (;;) {
        const request = nextRequest(state, connection);
        if (request === null || performance.now() >= state.endsAt) return;
        if (!(await ask(connection, request, performance.now(), state))) return;
      }
    }),
  );
}

/**
 * Requests come when they come, whether or not those before have been answered: arrivals are by chance (exponential
 * gaps, from the job's seed), gathered by the millisecond. One that finds no connection free waits for one, and its time
 * counts from when it came.
 */
async function openLoop(connections, state) {
  const { ratePerSecond, seed } = state.job;
  const random = createRandom(seed);
  const free = [...connections];
  const waiting = [];
  let dueAt = state.startedAt;
  const start = (connection, since) => {
    const request = nextRequest(state, connection);
    if (request === null) return;
    void ask(connection, request, since, state).then((isOpen) => {
      if (!isOpen) return;
      const nextSince = waiting.shift();
      if (nextSince === undefined) free.push(connection);
      else start(connection, nextSince);
    });
  };
  for (;;) {
    const now = performance.now();
    if (now >= state.endsAt) break;
    while (dueAt <= now) {
      const connection = free.pop();
      if (connection === undefined) waiting.push(now);
      else start(connection, now);
      dueAt += (-Math.log(1 - random()) * 1000) / ratePerSecond;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  state.dropped = waiting.length;
  waiting.length = 0;
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (connections.some(({ isBusy }) => isBusy) && performance.now() < giveUpAt)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

/** The next prepared request; in a chain, the one that the last answer on this connection has made. */
function nextRequest(state, connection) {
  if (state.job.chain === undefined) {
    if (state.job.once === true && state.next >= state.requests.length) return null;
    return state.requests[state.next++ % state.requests.length];
  }
  return connection.following ?? state.requests[connection.index] ?? null;
}

function open(port, state, index) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const connection = { socket, index, isBusy: false, onAnswer: null, following: null };
    let pending = null;
    socket.on('data', (chunk) => {
      pending = pending === null ? chunk : Buffer.concat([pending, chunk]);
      const answer = parseAnswer(pending, state.job.chain !== undefined);
      if (answer === null) return;
      pending = null;
      connection.onAnswer?.(answer);
    });
    socket.once('connect', () => resolve(connection));
    socket.once('error', reject);
    socket.on('error', () => undefined);
    socket.on('close', () => connection.onAnswer?.(null));
  });
}

/** Sends a request and notes how long its answer took; false when the connection has ended. */
function ask(connection, request, since, state) {
  return new Promise((resolve) => {
    connection.isBusy = true;
    connection.onAnswer = (answer) => {
      connection.isBusy = false;
      connection.onAnswer = null;
      if (answer === null) {
        state.failed += 1;
        resolve(false);
        return;
      }
      const tookUs = Math.max(1, Math.round(1000 * (performance.now() - since)));
      record(state.statuses, answer.status, tookUs);
      if (state.job.sliceMs !== undefined) record(sliceOf(since, state), answer.status, tookUs);
      // What could not be answered for now is asked again: it has cost one error, and not the rest of the chain.
      if (state.job.chain !== undefined && answer.status < 500)
        connection.following = follow(state.job.chain, answer);
      resolve(true);
    };
    connection.socket.write(request);
  });
}

function record(statuses, status, tookUs) {
  let histogram = statuses.get(status);
  if (histogram === undefined) statuses.set(status, (histogram = createHistogram()));
  histogram.record(tookUs);
}

/** By when a request came, not by when it was answered: one that took long shows where its wait began. */
function sliceOf(since, { slices, job, startedAt }) {
  const slice = Math.floor((since - startedAt) / job.sliceMs);
  let statuses = slices.get(slice);
  if (statuses === undefined) slices.set(slice, (statuses = new Map()));
  return statuses;
}

/** A chain's next request: its template with the member of the last answer's body in the place of `{}`. */
function follow({ head, body, member }, answer) {
  if (answer.status >= 400) return null;
  const text = body.replace('{}', JSON.parse(answer.body)[member]);
  return Buffer.from(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

/** Status, and body where it is wanted, of an answer that is complete; null before. */
function parseAnswer(bytes, wantsBody) {
  const end = bytes.indexOf(END_OF_HEAD);
  if (end === -1) return null;
  const head = bytes.latin1Slice(0, end);
  const status = Number(head.slice(9, 12));
  const at = head.search(/content-length: /i);
  const length = at === -1 ? 0 : Number.parseInt(head.slice(at + 16), 10);
  if (bytes.length < end + 4 + length) return null;
  return { status, body: wantsBody ? bytes.toString('utf8', end + 4, end + 4 + length) : '' };
}
