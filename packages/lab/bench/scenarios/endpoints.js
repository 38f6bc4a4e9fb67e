// /session, /refresh and /logout, each beside a limit of its own: the same answer, or one UPDATE, from a bare Fastify.
//
// /login has a scenario of its own, /introspect too.
import { compare } from '../contest.js';
import { addressOf, requestText } from '../load.js';
import { runAlone } from '../machine.js';
import { createStarter, startGatehouse, startServer } from '../servers.js';
import { fill, mintRefreshTokens, mintTokens, openWorld, pickSessions } from '../world.js';

const CONNECTIONS = 64;

/** Distinct access tokens that /session is asked about. */
const TOKENS = 10_000;

/** More than any server ends in a second: each logout ends another session, and none must be missing. */
const MOST_LOGOUTS_PER_SECOND = 5000;

const JSON_TYPE = { 'content-type': 'application/json' };

export async function endpoints({ quick, log }) {
  const options = { rounds: quick ? 1 : 5, durationMs: quick ? 250 : 3000, connections: CONNECTIONS };
  const logoutsPerRound = (MOST_LOGOUTS_PER_SECOND * options.durationMs) / 1000;
  const tokens = quick ? 2000 : TOKENS;
  const sessions = Math.max(tokens, 3 * logoutsPerRound * (options.rounds + 1));
  const world = await openWorld();
  const stops = [() => world.close()];
  const start = createStarter(stops);
  try {
    log(`endpoints: making ${sessions} sessions and revocations`);
    await fill(world, 10_000, sessions);
    const gatehouse = await start(startGatehouse(world));
    const contest = { world, gatehouse, start, options, tokens, quick };
    log('endpoints: /session');
    const session = await compareSession(contest);
    log('endpoints: /refresh');
    const refresh = await compareRefresh(contest);
    log('endpoints: /logout');
    const logout = await compareLogout(contest, logoutsPerRound);
    return { sessions, connections: CONNECTIONS, session, refresh, logout };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function compareSession({ world, gatehouse, start, options, tokens: count }) {
  const tokens = mintTokens(world, await pickSessions(world, count), count);
  const answer = await askSession(gatehouse, tokens[0]);
  const limit = await start(startServer('./servers/limit.js', { environment: { ANSWER: answer } }));
  const requests = tokens.map((token, n) =>
    requestText('GET', '/session', { authorization: `Bearer ${token}`, 'x-forwarded-for': addressOf(n) }),
  );
  const job = () => ({ requests });
  return await compare({ limit: { server: limit, job }, gatehouse: { server: gatehouse, job } }, options);
}

async function compareRefresh({ world, gatehouse, start, options, quick }) {
  const [first] = await pickSessions(world, 1);
  const pair = await askRefresh(gatehouse, refreshTokensOf(world, [first])[0]);
  const environment = { DATABASE_URL: world.url, ANSWER: JSON.stringify(pair) };
  const limit = await start(startServer('./servers/update.js', { environment }));
  const sessions = await pickSessions(world, CONNECTIONS);
  const figures = await compare(
    {
      limit: {
        server: { ...limit, postgresPid: gatehouse.postgresPid },
        job: () => ({
          requests: sessions.map(({ id }) =>
            requestText('POST', '/update', JSON_TYPE, JSON.stringify({ id })),
          ),
          chain: { head: headOf('POST', '/update', JSON_TYPE), body: '{"id":"{}"}', member: 'id' },
        }),
      },
      gatehouse: { server: gatehouse, job: (round) => chainOfRefreshes(world, CONNECTIONS, round) },
    },
    options,
  );
  return { ...figures, signs: await measureSigns(pair, quick ? 0.1 : 1) };
}

/**
 * Every connection refreshes a session of its own, again and again. After its first request all of them share an address:
 * `number` must not come back for a minute, nor a minute's 12,000 requests be used up.
 */
export async function chainOfRefreshes(world, connections, number) {
  // Read again for each load: the one before has rotated them.
  const sessions = await pickSessions(world, connections);
  return {
    requests: refreshTokensOf(world, sessions).map((token, n) =>
      requestText(
        'POST',
        '/refresh',
        { ...JSON_TYPE, 'x-forwarded-for': addressOf(n) },
        JSON.stringify({ refresh_token: token }),
      ),
    ),
    chain: {
      head: headOf('POST', '/refresh', { ...JSON_TYPE, 'x-forwarded-for': addressOf(100_000 + number) }),
      body: '{"refresh_token":"{}"}',
      member: 'refresh_token',
    },
  };
}

/** As if minted just now: their rows are older than the key that signs. */
export function refreshTokensOf(world, sessions) {
  return mintRefreshTokens(
    world,
    sessions.map((session) => ({ ...session, rotatedAt: session.now })),
  );
}

/** A request up to its length, which a chain adds. */
function headOf(method, path, headers) {
  return requestText(method, path, headers).slice(0, -'\r\n'.length);
}

/** Every second logout with an access token, the others with a refresh token; each ends another session. */
async function compareLogout({ world, gatehouse, start, options }, perRound) {
  const [spare, ...sessions] = await pickSessions(world, 1 + 2 * perRound * (options.rounds + 1));
  await askLogout(gatehouse, world, spare);
  const limit = await start(startServer('./servers/update.js', { environment: { DATABASE_URL: world.url } }));
  const nextSessions = () => sessions.splice(-perRound);
  const common = { once: true, status: 204 };
  return await compare(
    {
      limit: {
        server: { ...limit, postgresPid: gatehouse.postgresPid },
        job: () => ({
          ...common,
          requests: nextSessions().map(({ id }) =>
            requestText('POST', '/end', JSON_TYPE, JSON.stringify({ id })),
          ),
        }),
      },
      gatehouse: {
        server: gatehouse,
        job: () => ({ ...common, requests: logoutsOf(world, nextSessions()) }),
      },
    },
    options,
  );
}

function logoutsOf(world, sessions) {
  const access = mintTokens(world, sessions, sessions.length);
  const refresh = refreshTokensOf(world, sessions);
  return sessions.map((_, n) => {
    const from = { 'x-forwarded-for': addressOf(n) };
    if (n % 2 === 0) return requestText('POST', '/logout', { ...from, authorization: `Bearer ${access[n]}` });
    const body = JSON.stringify({ refresh_token: refresh[n] });
    return requestText('POST', '/logout', { ...from, ...JSON_TYPE }, body);
  });
}

async function askSession({ port }, token) {
  const answer = await fetch(`http://127.0.0.1:${port}/session`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const text = await answer.text();
  if (answer.status !== 200 || JSON.parse(text).sub === undefined)
    throw new Error(`/session was answered ${answer.status} ${text}`);
  return text;
}

async function askRefresh({ port }, token) {
  const answer = await post(port, '/refresh', { refresh_token: token });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`/refresh was answered ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Logs a session out, and sees that its access token is refused from then on. */
async function askLogout({ port }, world, session) {
  const [access] = mintTokens(world, [session], 1);
  const [refresh] = refreshTokensOf(world, [session]);
  const ended = await post(port, '/logout', { refresh_token: refresh });
  if (ended.status !== 204) throw new Error(`/logout was answered ${ended.status} ${await ended.text()}`);
  const { status } = await fetch(`http://127.0.0.1:${port}/session`, {
    headers: { authorization: `Bearer ${access}` },
  });
  if (status !== 401) throw new Error(`/session was answered ${status} after the logout`);
}

function post(port, path, body) {
  return fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify(body),
  });
}

/** What the two signatures of a token pair cost by themselves. */
async function measureSigns({ access_token: access, refresh_token: refresh }, seconds) {
  const bytes = Math.round((access.lastIndexOf('.') + refresh.lastIndexOf('.')) / 2);
  const { signsPerSecond } = (await runAlone('./signatures.js', bytes, seconds)).EdDSA;
  return { perRefresh: 2, signsPerSecond, cpuUs: (2 * 1e6) / signsPerSecond };
}
