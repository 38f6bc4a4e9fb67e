// POST /introspect against the limit and the peers: tokens seen before, tokens never seen, and one request alone.
import { compare } from '../contest.js';
import { requestText } from '../load.js';
import { runAlone } from '../machine.js';
import { median } from '../numbers.js';
import { createStarter, startGatehouse, startServer } from '../servers.js';
import { fill, mintTokens, openWorld, pickSessions } from '../world.js';

/** Enough for batches of some size; with 64 the ratios are the same. */
const CONNECTIONS = 128;
const TOKENS = 10_000;

/** Of twenty tokens one has never been seen. */
export const SEEN_OF_EACH_NEW = 19;

/** More than any server answers in a second; none of the new ones is sent twice. */
const MOST_PER_SECOND = 60_000;
const MOST_COLD_PER_SECOND = 20_000;

export async function introspect({ quick, log }) {
  const rows = quick ? 10_000 : 1_000_000;
  const tokens = quick ? 2000 : TOKENS;
  const world = await openWorld();
  const stops = [() => world.close()];
  try {
    log(`introspect: making ${rows} sessions and revocations`);
    await fill(world, 10_000, rows);
    const options = { rounds: quick ? 1 : 5, durationMs: quick ? 250 : 4000, connections: CONNECTIONS };
    const traffic = await prepareTraffic(world, tokens);
    const servers = await startServers(world, traffic, stops);
    const jobs = jobsOf(traffic, servers, options);

    log('introspect: tokens mostly seen before');
    const seen = await compare(pick(jobs, ['limit', 'seen', 'allSeen', 'oidcProvider', 'naive']), options);
    log('introspect: tokens never seen');
    const cold = await compare(pick(jobs, ['limit', 'cold']), { ...options, rounds: quick ? 1 : 3 });
    log('introspect: one request at a time');
    const alone = await compare(pick(jobs, ['limit', 'allSeen']), { ...options, connections: 1 });
    const signatures = await measureSignatures(
      traffic.tokenBytes,
      quick ? { times: 1, seconds: 0.1 } : { times: 3, seconds: 1 },
    );
    return { rows, tokens, connections: CONNECTIONS, seen, cold, alone, signatures };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** What is sent: whole requests for tokens that were seen before, and fresh ones in any number. */
export async function prepareTraffic(world, tokens) {
  const sessions = await pickSessions(world, tokens);
  const known = mintTokens(world, sessions, tokens);
  const toRequest = (token) => introspectText('bench', world.client.secret, token);
  return {
    tokenBytes: known[0].lastIndexOf('.'),
    firstToken: known[0],
    seen: known.map(toRequest),
    fresh: (count) => mintTokens(world, sessions, count).map(toRequest),
  };
}

/** `count` requests or a few more: each for a fresh token, and after it those for tokens that were seen before. */
export function mix({ seen, fresh }, count) {
  return fresh(Math.ceil(count / (SEEN_OF_EACH_NEW + 1))).flatMap((request, at) => [
    request,
    ...Array.from({ length: SEEN_OF_EACH_NEW }, (_, n) => seen[(at * SEEN_OF_EACH_NEW + n) % seen.length]),
  ]);
}

export function introspectText(id, secret, token) {
  return requestText(
    'POST',
    '/introspect',
    { authorization: basic(id, secret), 'content-type': 'application/x-www-form-urlencoded' },
    new URLSearchParams({ token }).toString(),
  );
}

export function basic(id, secret) {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

async function startServers(world, traffic, stops) {
  const start = createStarter(stops);
  const gatehouse = await start(startGatehouse(world));
  const answer = await ask(gatehouse, world, traffic.firstToken);
  const limit = await start(startServer('./servers/limit.js', { environment: { ANSWER: answer } }));
  const naive = await start(
    startServer('./servers/naive.js', {
      environment: { DATABASE_URL: world.url, PUBLIC_KEY: world.publicKey },
    }),
  );
  const oidcProvider = await start(startServer('./servers/oidc.js'));
  return { gatehouse, limit, naive, oidcProvider };
}

/** The answer that the limit gives too; checks on the way that it is a good one. */
export async function ask({ port }, world, token) {
  const answer = await fetch(`http://127.0.0.1:${port}/introspect`, {
    method: 'POST',
    body: new URLSearchParams({ token, client_id: 'bench', client_secret: world.client.secret }),
  });
  const text = await answer.text();
  if (!text.startsWith('{"active":true'))
    throw new Error(`a live token was answered ${answer.status} ${text}`);
  return text;
}

function jobsOf(traffic, { gatehouse, limit, naive, oidcProvider }, { durationMs }) {
  const most = (perSecond) => Math.ceil((perSecond * durationMs) / 1000);
  const { seen, fresh } = traffic;
  let peerRequests;
  return {
    limit: { server: limit, job: () => ({ requests: seen }) },
    seen: { server: gatehouse, job: () => ({ requests: mix(traffic, most(MOST_PER_SECOND)), once: true }) },
    allSeen: { server: gatehouse, job: () => ({ requests: seen }) },
    cold: { server: gatehouse, job: () => ({ requests: fresh(most(MOST_COLD_PER_SECOND)), once: true }) },
    naive: { server: naive, job: () => ({ requests: seen }) },
    oidcProvider: {
      server: oidcProvider,
      job: async () => ({ requests: (peerRequests ??= await requestsOfPeer(oidcProvider)) }),
    },
  };
}

async function requestsOfPeer({ port }) {
  const tokens = await (await fetch(`http://127.0.0.1:${port}/tokens?count=500`)).json();
  return tokens.map((token) =>
    introspectText('bench', 'bench-secret', token).replace('/introspect ', '/token/introspection '),
  );
}

function pick(jobs, names) {
  return Object.fromEntries(names.map((name) => [name, jobs[name]]));
}

/** The median of each figure over so many runs. */
async function measureSignatures(bytes, { times, seconds }) {
  const runs = [];
  for (let run = 0; run < times; run += 1) runs.push(await runAlone('./signatures.js', bytes, seconds));
  return Object.fromEntries(
    Object.keys(runs[0]).map((algorithm) => [
      algorithm,
      Object.fromEntries(
        Object.keys(runs[0][algorithm]).map((figure) => [
          figure,
          median(runs.map((run) => run[algorithm][figure])),
        ]),
      ),
    ]),
  );
}
