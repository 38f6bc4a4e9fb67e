// A resource server's own process, without its HTTP: asks about tokens through the package, and times the verdicts.
import { createHistogram } from 'node:perf_hooks';
import { createIntrospector, Refusal } from '@gatehouse/resource-server';

import { summaryOf } from './numbers.js';

process.on('message', (job) => {
  void run(job).then((figures) => process.send(figures));
});

/** See load.js for what a job holds and what comes back. */
async function run(job) {
  const nextToken = createTokens(job);
  const guards = createGuards(job);
  const histogram = createHistogram();
  let failed = 0;
  // What the job before this one has left is not to be collected while this one runs.
  gc();
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + job.durationMs;

  /** One place asks again as soon as it has its verdict. */
  async function askOn(guard) {
    for (let token; performance.now() < endsAt && (token = nextToken()) !== undefined;) {
      const since = performance.now();
      if (await isAdmitted(guard, token))
        histogram.record(Math.max(1, Math.round(1000 * (performance.now() - since))));
      else failed += 1;
    }
  }

  await Promise.all(Array.from({ length: job.underWay }, (_, place) => askOn(guards[place % guards.length])));
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(before);
  await Promise.all(guards.map((guard) => guard.close()));
  return { tookMs, failed, verdicts: summaryOf(histogram), callerCpuUs: user + system };
}

function createGuards({ port, client, underWay, isSingly }) {
  const options = {
    url: `http://127.0.0.1:${port}`,
    clientId: client.id,
    clientSecret: client.secret,
  };
  return Array.from({ length: isSingly ? underWay : 1 }, () => createIntrospector(options));
}

/** Tokens in turn, of which each after so many was never seen; undefined when none of these is left. */
function createTokens({ known, fresh, seenOfEachNew }) {
  let given = 0;
  return () => {
    const place = given++;
    const round = Math.floor(place / (seenOfEachNew + 1));
    if (place % (seenOfEachNew + 1) === 0) return fresh[round];
    return known[(place - round - 1) % known.length];
  };
}

async function isAdmitted(guard, token) {
  try {
    await guard(`Bearer ${token}`);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
