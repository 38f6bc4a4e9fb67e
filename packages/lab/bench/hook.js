// What metrics and traces cost: the hook of an answer and the telling of the domain, each by itself, with metrics and without; a
// request with a trace and without, in turn.
// Usage: npm run bench:hook [-- CALLS]. Each figure is the median of five rounds, less that of an empty call.
import { createServer } from 'node:http';
import { once } from 'node:events';
import Fastify from 'fastify';
import pino from 'pino';

import { told } from '../../../dist/domain/reports/told.js';
import { meterAnswers } from '../../../dist/http/meter.js';
import { createReplicaMetrics } from '../../../dist/observability/replica-metrics.js';
import { createTracing } from '../../../dist/observability/traces/tracing.js';
import { median } from './numbers.js';

const ROUNDS = 5;
/** A request costs as much as a thousand of the other calls. */
const CALLS_PER_REQUEST = 1000;
const calls = Number(process.argv[2] ?? 1e7);

const pool = { connections: () => ({ open: 0, idle: 0, waiting: 0 }) };
const hasher = { load: () => ({ running: 0, waiting: 0, admitted: 0, limit: 0 }) };
const judgement = { kind: 'access', result: 'live', how: 'single' };
const done = () => undefined;

/** A request and its answer, as Fastify hands them to a hook, and the hook. */
async function captureAnswer(meter) {
  const app = Fastify();
  const answer = {};
  app.decorateRequest('unavailability', undefined);
  meterAnswers(
    { addHook: (name, hook) => app.addHook(name, name === 'onResponse' ? capture(hook) : hook) },
    meter,
  );
  function capture(hook) {
    return (request, reply, next) => {
      Object.assign(answer, { request, reply, hook });
      next();
    };
  }
  app.get('/session', () => ({}));
  await app.inject('/session');
  return answer;
}

/** In nanoseconds of CPU: on a busy machine the clock tells what others did. */
function timeOf(call) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const began = process.cpuUsage();
    for (let n = 0; n < calls; n += 1) call();
    const { user, system } = process.cpuUsage(began);
    return ((user + system) * 1000) / calls;
  });
  return median(rounds);
}

/** A route that asks about a token, in a statement of its own: the most that traces can cost. */
async function buildSmallApp(traceRequests) {
  const app = Fastify();
  for (const name of ['isByProxy', 'trace']) app.decorateRequest(name, null);
  await traceRequests?.(app);
  app.get('/session', async () => {
    const asker = {};
    told.question.tell(asker);
    await Promise.resolve();
    told.statement.tell({ questions: 1, seconds: 0.001, askers: [asker], isAnswered: true });
    return {};
  });
  await app.ready();
  return app;
}

/** In microseconds of CPU, all that this process does for it: the spans are sent to it, too. */
async function timeOfRequest(app) {
  const count = Math.ceil(calls / CALLS_PER_REQUEST);
  const began = process.cpuUsage();
  for (let n = 0; n < count; n += 1) await app.inject('/session');
  const { user, system } = process.cpuUsage(began);
  return (user + system) / count;
}

async function showTraces() {
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const endpoint = `http://127.0.0.1:${collector.address().port}`;
  const tracing = createTracing({ endpoint, version: '0' }, pino());
  const apps = { without: await buildSmallApp(), with: await buildSmallApp(tracing.traceRequests) };
  const times = { without: [], with: [] };
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [name, app] of Object.entries(apps)) {
      const time = await timeOfRequest(app);
      // The first round warms up.
      if (round > 0) times[name].push(time);
    }
  const [bare, traced] = [median(times.without), median(times.with)];
  process.stdout.write(
    `a small request: ${bare.toFixed(1)} µs, traced with its statement ${traced.toFixed(1)} µs\n`,
  );
}

const empty = timeOf(done);
const show = (what, call) => process.stdout.write(`${what}: ${Math.round(timeOf(call) - empty)} ns\n`);

const statement = { questions: 1, seconds: 0.001, askers: [judgement], isAnswered: true };
show('telling of a judgement, without metrics', () => told.judgement.tell(judgement));
show('telling of a question and its statement, without traces', () => {
  told.question.tell(judgement);
  told.statement.tell(statement);
});
const metrics = createReplicaMetrics({ hasher, pools: { work: pool, liveness: pool } });
const { hook, request, reply } = await captureAnswer(metrics.meter);
show('the hook of an answer', () => hook(request, reply, done));
show('telling of a judgement', () => told.judgement.tell(judgement));
metrics.stop();
await showTraces();
process.exit();
