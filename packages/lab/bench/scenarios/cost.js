// What a request costs: statements, commits that wait for the disk, rows, bytes of the write-ahead log, and CPU on both sides.
//
// Each kind of request is put to a service of its own, one at a time for what is counted and several at a time for CPU (logins one
// at a time for both), on a
// small table whose pages have all been written since the last checkpoint, and on a large one right after a checkpoint, where
// the first change of each page writes the whole page into the log. What a service costs that nobody asks is taken off.
import { setTimeout as sleep } from 'node:timers/promises';

import { createPasswordHasher } from '../../../../dist/domain/passwords/hasher.js';
import { loadRing } from '../../../../dist/domain/keys/ring.js';
import { createTokenCodec } from '../../../../dist/http/jwt.js';
import { enterCounting } from '../counting.js';
import { measure } from '../contest.js';
import { addressOf, putLoad, requestText } from '../load.js';
import { createLogins, PASSWORD } from '../logins.js';
import { cpuUsOfPostgres, usageOf } from '../machine.js';
import { startGatehouse } from '../servers.js';
import { fill, mintTokens, openWorld, pickSessions, SECRET } from '../world.js';
import { refreshTokensOf } from './endpoints.js';
import { introspectText } from './introspect.js';

const JSON_TYPE = { 'content-type': 'application/json' };

/** At once, for CPU: enough to keep the service busy, and few enough for each to have a connection to the database. */
const CONNECTIONS = 8;

/** Of a million: each 21st, and so of as many users. */
const MOST_SESSIONS = 47_000;

/** Longer than any of these loads takes: they end with their last request. */
const LONGEST_MS = 300_000;

/** Not counted, so that code is compiled and connections are open. */
const WARM_UP = 50;

/** What a service and its PostgreSQL do for themselves is watched for so long. */
const IDLE_MS = 5000;

/** Near its end for its last 120 s, and it must not expire meanwhile. */
const NEAR_END_SECONDS = 485;

/** The tables whose rows are told; others are written by the service for itself. */
const TABLES = ['users', 'sessions', 'revocations', 'login_attempts'];

/** Each makes so many requests, of sessions or users that no other request has used. */
const OPERATIONS = {
  'POST /login': { isSlow: true, make: ({ logins }, count) => logins(count) },
  'POST /login, wrong password': {
    isSlow: true,
    status: 401,
    make: ({ logins }, count) => logins(count).map((text) => text.replace(PASSWORD, reversed(PASSWORD))),
  },
  'POST /refresh': {
    make: ({ world, take }, count) =>
      refreshTokensOf(world, take(count)).map((token, n) =>
        post('/refresh', n, JSON.stringify({ refresh_token: token })),
      ),
  },
  'POST /logout with an access token': {
    status: 204,
    make: ({ world, take }, count) =>
      mintTokens(world, take(count), count).map((token, n) => withToken('POST', '/logout', token, n)),
  },
  'POST /logout with a refresh token': {
    status: 204,
    make: ({ world, take }, count) =>
      refreshTokensOf(world, take(count)).map((token, n) =>
        post('/logout', n, JSON.stringify({ refresh_token: token })),
      ),
  },
  'POST /logout-all': {
    make: ({ world, takeUsers }, count) =>
      mintTokens(world, takeUsers(count), count).map((token, n) =>
        withToken('POST', '/logout-all', token, n),
      ),
  },
  'POST /introspect, a token seen before': {
    make: ({ world, standing }, count) => {
      const tokens = mintTokens(world, standing, standing.length);
      return Array.from({ length: count }, (_, n) =>
        introspectText('bench', world.client.secret, tokens[n % tokens.length]),
      );
    },
  },
  'GET /session': {
    make: ({ world, standing }, count) => {
      const tokens = mintTokens(world, standing, standing.length);
      return Array.from({ length: count }, (_, n) =>
        withToken('GET', '/session', tokens[n % tokens.length], n),
      );
    },
  },
  'GET /session, a token near its end: reissued': {
    make: ({ world, standing }, count) => {
      const earlier = standing.map((session) => ({ ...session, now: Date.now() / 1000 - NEAR_END_SECONDS }));
      const tokens = mintTokens(world, earlier, earlier.length);
      return Array.from({ length: count }, (_, n) =>
        withToken('GET', '/session', tokens[n % tokens.length], n),
      );
    },
  },
};

/** {at: [{rows, idle, operations: [{name, statements, durableCommits, rowsWritten, walBytes, walImages, cpuUs, postgresCpuUs}]}]} */
export async function cost({ quick, log }) {
  const counts = quick ? { quick: 60, slow: 10 } : { quick: 1000, slow: 300 };
  const worlds = quick
    ? [{ rows: 4000, users: 1000, isWarm: true }]
    : [
        { rows: 20_000, users: 5000, isWarm: true },
        { rows: 1_000_000, users: 100_000, isWarm: false },
      ];
  const at = [];
  for (const { rows, users, isWarm } of worlds) {
    log(`cost: making ${rows} sessions and revocations`);
    const stage = await openStage(users, rows, isWarm);
    try {
      const idle = await measureIdle(stage, quick ? 1000 : IDLE_MS);
      const operations = [];
      for (const name of Object.keys(OPERATIONS)) {
        operations.push(await measureOperation(stage, name, counts, idle));
        log(`cost: ${JSON.stringify(operations.at(-1))}`);
      }
      at.push({ rows, isWarm, idle, operations });
    } finally {
      await stage.close();
    }
  }
  return { at };
}

/**
 * @param isWarm every page has been written since the last checkpoint; otherwise each operation begins with one
 * @param main of the service that is measured
 */
export async function openStage(users, rows, isWarm, main = undefined) {
  const cluster = await enterCounting();
  const world = await openWorld(cluster);
  await fill(world, users, rows);
  const passwordHash = await createPasswordHasher().hash(PASSWORD);
  await world.pool.query('UPDATE users SET password_hash = $1', [passwordHash]);
  // Otherwise PostgreSQL does it by itself while something is measured.
  await world.pool.query('VACUUM ANALYZE users');
  // As if the service had been running for an hour: a token that is near its end is older than the key that was just made.
  await world.pool.query(
    `UPDATE signing_keys SET created_at = created_at - interval '1 hour', signs_at = signs_at - interval '1 hour'`,
  );
  world.ring = await loadRing(world.database, [SECRET], world.rules, createTokenCodec);
  const sessions = await pickSessions(world, Math.min(rows, MOST_SESSIONS));
  const byUser = new Map(sessions.map((session) => [session.userId, session]));
  const standing = sessions.splice(0, 500);
  const alone = [...byUser.values()].slice(-Math.floor(byUser.size / 2));
  const leaving = new Set(alone.map(({ userId }) => userId));
  const others = sessions.filter(({ userId }) => !leaving.has(userId));
  if (isWarm) {
    for (const table of ['sessions', 'revocations', 'users']) {
      await world.pool.query(`UPDATE ${table} SET id = id`);
      await world.pool.query(`VACUUM ${table}`);
      await world.pool.query(`REINDEX TABLE ${table}`);
    }
  }
  return {
    world,
    cluster,
    main,
    isWarm,
    logins: createLogins(),
    standing: standing.filter(({ userId }) => !leaving.has(userId)),
    take: (count) => takeFrom(others, count),
    takeUsers: (count) => takeFrom(alone, count),
    close: () => world.close(),
  };
}

function takeFrom(sessions, count) {
  if (sessions.length < count) throw new Error('there are too few sessions left');
  return sessions.splice(0, count);
}

/** What goes on when nobody asks, each second: the beat, and the look at where the address of the database leads. */
export async function measureIdle(stage, durationMs) {
  return await withService(stage, async (server) => {
    await sleep(1000);
    const before = await readUsage(stage, server);
    await sleep(durationMs);
    const after = await readUsage(stage, server);
    const asked = [...after.statements].filter(
      ([id, { calls }]) => calls > (before.statements.get(id)?.calls ?? 0),
    );
    return { ...perUnit(before, after, durationMs / 1000), own: asked.map(([id]) => id) };
  });
}

export async function measureOperation(stage, name, counts, idle) {
  const { isSlow = false } = OPERATIONS[name];
  const count = isSlow ? counts.slow : counts.quick;
  const alone = await measureAlone(stage, name, count, idle);
  // Of a login nearly all is the hash, which costs the same however many there are.
  const { cpuUs, postgresCpuUs } = isSlow ? alone : await measureBusy(stage, name, count);
  return { name, requests: count, ...alone, cpuUs, postgresCpuUs };
}

/** One request at a time: then each commit that waits for the disk is a flush of its own. */
async function measureAlone(stage, name, count, idle) {
  const { status = 200, make } = OPERATIONS[name];
  const written = await readWritten(stage);
  const usage = await withService(stage, async (server) => {
    const ask = async (requests) => {
      const job = { port: server.port, connections: 1, durationMs: LONGEST_MS, requests, once: true };
      const { tookMs, answers } = await putLoad(job);
      if (answers[status]?.count !== requests.length)
        throw new Error(`${name} was answered ${JSON.stringify(answers)}`);
      return tookMs / 1000;
    };
    await ask(make(stage, WARM_UP));
    const requests = make(stage, count);
    if (!stage.isWarm) await stage.cluster.checkpoint();
    const before = await readUsage(stage, server);
    const seconds = await ask(requests);
    return lessIdle(perUnit(before, await readUsage(stage, server), count, idle.own), idle, seconds / count);
  });
  // Once the service has stopped all of its connections have told what they did.
  const { beats, flushes, rows } = differenceOf(written, await readWritten(stage));
  const all = WARM_UP + count;
  return { ...usage, durableCommits: (flushes - beats) / all, rowsWritten: rows / all };
}

/** Several at a time, which share what a busy service does but once for all of them. */
async function measureBusy(stage, name, count) {
  const { status = 200, make } = OPERATIONS[name];
  return await withService(stage, async (server) => {
    const job = { connections: CONNECTIONS, durationMs: LONGEST_MS, once: true, status };
    await measure(server, { ...job, requests: make(stage, WARM_UP) });
    const busy = await measure(server, { ...job, requests: make(stage, count) });
    if (busy.errors > 0) throw new Error(`${name}: ${busy.errors} were not answered ${status}`);
    return busy;
  });
}

async function withService({ world, main }, use) {
  const server = await startGatehouse(world, main === undefined ? {} : { main });
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

async function readUsage({ cluster }, { pids, postgresPid }) {
  const [counters, { cpuUs }, postgresCpuUs] = await Promise.all([
    cluster.counters(),
    usageOf(pids),
    cpuUsOfPostgres(postgresPid),
  ]);
  return { ...counters, cpuUs, postgresCpuUs };
}

/** @param own ids of statements that a service asks when nobody asks it */
function perUnit(before, after, units, own = []) {
  const asked = [...after.statements]
    .filter(([id]) => !own.includes(id))
    .map(([id, { calls, walImages }]) => {
      const earlier = before.statements.get(id) ?? { calls: 0, walImages: 0 };
      return { calls: calls - earlier.calls, walImages: walImages - earlier.walImages };
    });
  const sum = (figure) => asked.reduce((total, each) => total + each[figure], 0) / units;
  return {
    statements: sum('calls'),
    walImages: sum('walImages'),
    ...Object.fromEntries(
      ['walBytes', 'cpuUs', 'postgresCpuUs'].map((figure) => [
        figure,
        (after[figure] - before[figure]) / units,
      ]),
    ),
  };
}

function lessIdle({ statements, walImages, walBytes, cpuUs, postgresCpuUs }, idle, seconds) {
  return {
    statements,
    walImages,
    walBytes: walBytes - idle.walBytes * seconds,
    cpuUs: cpuUs - idle.cpuUs * seconds,
    postgresCpuUs: postgresCpuUs - idle.postgresCpuUs * seconds,
  };
}

/** Rows of {@link TABLES}, and those of `beat`; inserted, updated and deleted. */
async function readWritten({ world, cluster }) {
  const { rows } = await world.pool.query(
    `SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) FILTER (WHERE relname = ANY($1)), 0)::float8 AS rows,
            coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) FILTER (WHERE relname = 'beat'), 0)::float8 AS beats
     FROM pg_stat_user_tables`,
    [TABLES],
  );
  const { flushes } = await cluster.counters();
  return { ...rows[0], flushes };
}

function differenceOf(before, after) {
  return Object.fromEntries(Object.keys(after).map((figure) => [figure, after[figure] - before[figure]]));
}

function post(path, n, body) {
  return requestText('POST', path, { ...JSON_TYPE, 'x-forwarded-for': addressOf(n) }, body);
}

function withToken(method, path, token, n) {
  return requestText(method, path, { authorization: `Bearer ${token}`, 'x-forwarded-for': addressOf(n) });
}

function reversed(text) {
  return [...text].reverse().join('');
}
