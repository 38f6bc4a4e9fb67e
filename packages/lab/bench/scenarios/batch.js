// POST /introspect/batch beside a bare Fastify's single answers, by number of tokens; and what the package for resource servers
// makes of it.
import { compare, measureCaller, measureInTurn } from '../contest.js';
import { requestText } from '../load.js';
import { createStarter, startGatehouse, startServer } from '../servers.js';
import { fill, mintTokens, openWorld, pickSessions } from '../world.js';
import { ask, basic, introspectText, SEEN_OF_EACH_NEW } from './introspect.js';

const SIZES = [1, 8, 32, 128, 256];

/** Of requests about one token each. Those about more have as many tokens under way as keep the server's core full. */
const CONNECTIONS = 128;
const MOST_UNDER_WAY = 2048;

const TOKENS = 10_000;

/** Questions that the package has under way at once. */
const UNDER_WAY = 64;

/** More verdicts than any caller gets in a second; none of the fresh tokens is asked about twice. */
const MOST_PER_SECOND = 80_000;

/** {rows, tokens, seen: {limit, single, batches: [{size, …}]}, caller: {singly, joined}}: figures of requests, and of a caller's verdicts. */
export async function batch({ quick, log }) {
  const rows = quick ? 10_000 : 1_000_000;
  const tokens = quick ? 2048 : TOKENS;
  const world = await openWorld();
  const stops = [() => world.close()];
  const start = createStarter(stops);
  try {
    log(`batch: making ${rows} sessions and revocations`);
    await fill(world, 10_000, rows);
    const sessions = await pickSessions(world, tokens);
    const known = mintTokens(world, sessions, tokens);
    const gatehouse = await start(startGatehouse(world));
    const answer = await ask(gatehouse, world, known[0]);
    const limit = await start(startServer('./servers/limit.js', { environment: { ANSWER: answer } }));
    const options = { rounds: quick ? 1 : 5, durationMs: quick ? 250 : 4000 };

    log('batch: one token in a request, and many');
    await checkTogether(gatehouse, world, known.slice(0, SIZES.at(-1)));
    const seen = await compareSizes({ limit, gatehouse }, world, known, options);

    log('batch: through the package');
    const count = Math.ceil((MOST_PER_SECOND * options.durationMs) / 1000 / (SEEN_OF_EACH_NEW + 1));
    const askingFrom = (isSingly) => () =>
      measureCaller(gatehouse, {
        client: { id: 'bench', secret: world.client.secret },
        known,
        fresh: mintTokens(world, sessions, count),
        seenOfEachNew: SEEN_OF_EACH_NEW,
        underWay: UNDER_WAY,
        isSingly,
        durationMs: options.durationMs,
      });
    const caller = await measureInTurn(
      { singly: askingFrom(true), joined: askingFrom(false) },
      options.rounds,
    );
    return { rows, tokens, underWay: UNDER_WAY, seen, caller };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function compareSizes({ limit, gatehouse }, world, known, options) {
  const { secret } = world.client;
  const singles = known.map((token) => introspectText('bench', secret, token));
  const batches = SIZES.map((size) => ({
    size,
    connections: Math.min(CONNECTIONS, MOST_UNDER_WAY / size),
    requests: portionsOf(known, size).map((tokens) => batchText('bench', secret, tokens)),
  }));
  const measured = await compare(
    {
      limit: { server: limit, job: () => ({ requests: singles }) },
      single: { server: gatehouse, job: () => ({ requests: singles }) },
      ...Object.fromEntries(batches.map(({ size, ...job }) => [size, { server: gatehouse, job: () => job }])),
    },
    { ...options, connections: CONNECTIONS },
  );
  return {
    limit: measured.limit,
    single: measured.single,
    batches: batches.map(({ size, connections }) => ({ size, connections, ...measured[size] })),
  };
}

/** Whole portions alone: each request asks about as many tokens as its place in the tables says. */
function portionsOf(tokens, size) {
  return Array.from({ length: Math.floor(tokens.length / size) }, (_, n) =>
    tokens.slice(n * size, (n + 1) * size),
  );
}

function batchText(id, secret, tokens) {
  return requestText(
    'POST',
    '/introspect/batch',
    { authorization: basic(id, secret), 'content-type': 'application/json' },
    JSON.stringify({ tokens }),
  );
}

/** @throws {Error} unless each of these tokens is answered, and live */
async function checkTogether({ port }, world, tokens) {
  const answer = await fetch(`http://127.0.0.1:${port}/introspect/batch`, {
    method: 'POST',
    headers: {
      authorization: basic('bench', world.client.secret),
      'content-type': 'application/json',
    },
    body: JSON.stringify({ tokens }),
  });
  const text = await answer.text();
  const results = answer.ok ? JSON.parse(text).results : [];
  if (results.length !== tokens.length || !results.every(({ active }) => active))
    throw new Error(`${tokens.length} live tokens were answered ${answer.status} ${text.slice(0, 500)}`);
}
