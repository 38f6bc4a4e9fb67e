// Whether the time of a refused login tells an unknown name from a wrong password or a disabled user.
// Usage: npm run bench:timing [-- LOGINS_PER_CLASS [SEED]]. Real argon2 parameters, an embedded database of its own.
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { buildApp } from '../../../dist/app.js';
import { readConfig } from '../../../dist/config/config.js';
import { enterEmbedded } from '../../../dist/database/embedded.js';
import { migrate } from '../../../dist/database/migrate.js';
import { openDatabase } from '../../../dist/database/prisma.js';
import { createGatehouse } from '../../../dist/domain/gatehouse.js';
import { createPasswordHasher } from '../../../dist/domain/passwords/hasher.js';
import { addUser, disableUser } from '../../../dist/domain/users/users.js';
import { createTokenCodec } from '../../../dist/http/jwt.js';
import { addressOf } from './load.js';
import { createRandom } from '../shared/random.js';

const CLASSES = ['unknown', 'wrong', 'disabled'];

/** The same as `wrong`: how much these two differ is what this machine cannot tell apart just now. */
const CONTROL = 'control';
const ALL = [...CLASSES, CONTROL];

const ALLOWED_PERCENT = 5;

/** Per class, not measured: until code is compiled, connections are open and statements are prepared. */
const WARM_UP = 10;

const perClass = Number(process.argv[2] ?? 500);
const seed = Number(process.argv[3] ?? randomInt(2 ** 31));
const random = createRandom(seed);

await withService(async (service) => {
  const attempts = [
    ...(await prepare(service, WARM_UP, 'early')),
    ...(await prepare(service, perClass, 'late')),
  ];
  const timesMs = Object.fromEntries(ALL.map((kind) => [kind, []]));
  for (const [turn, attempt] of attempts.entries()) {
    const tookMs = await refuse(service.app, attempt, turn);
    if (turn >= ALL.length * WARM_UP) timesMs[attempt.kind].push(tookMs);
  }
  report(timesMs);
});

/** Every attempt has a name and an address of its own, or limits would answer; the order is by chance. */
async function prepare({ database, hasher }, count, when) {
  const passwordHash = await hasher.hash('the right password, which nobody sends');
  const attempts = [];
  for (let turn = 0; turn < count; turn += 1) {
    for (const kind of ALL) {
      const username = `${kind}-${when}-${turn}`;
      if (kind !== 'unknown') await addUser(database, { username, passwordHash, scope: '' });
      if (kind === 'disabled') await disableUser(database, username);
      attempts.push({ kind, username });
    }
  }
  for (let last = attempts.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [attempts[last], attempts[other]] = [attempts[other], attempts[last]];
  }
  return attempts;
}

async function refuse(app, { username }, turn) {
  const startedAt = performance.now();
  const { statusCode } = await app.inject({
    method: 'POST',
    url: '/login',
    remoteAddress: addressOf(turn),
    payload: { username, password: 'a wrong password of usual length' },
  });
  if (statusCode !== 401) throw new Error(`${username} was answered ${statusCode}`);
  return performance.now() - startedAt;
}

function report(timesMs) {
  const lines = ALL.map((kind) => {
    const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => quantile(timesMs[kind], share).toFixed(2));
    return `${kind.padEnd(9)} n ${timesMs[kind].length}  median ${q2} ms  quartiles ${q1} to ${q3} ms`;
  });
  const spread = spreadOf(CLASSES, timesMs);
  const noise = spreadOf(['wrong', CONTROL], timesMs);
  const verdict = spread < ALLOWED_PERCENT ? 'less' : 'NOT less';
  lines.push(`medians differ by ${spread.toFixed(2)} %: ${verdict} than ${ALLOWED_PERCENT} % (seed ${seed})`);
  lines.push(`noise: wrong and control, which are the same, differ by ${noise.toFixed(2)} %`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** By how many percent the highest of their medians is above the lowest. */
function spreadOf(kinds, timesMs) {
  const medians = kinds.map((kind) => quantile(timesMs[kind], 0.5));
  return 100 * (Math.max(...medians) / Math.min(...medians) - 1);
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * sorted.length)];
}

async function withService(use) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-timing-'));
  const stops = [() => rm(directory, { recursive: true, force: true })];
  try {
    const embedded = await enterEmbedded(directory, 'service');
    stops.push(() => embedded.leave());
    await migrate(embedded.url);
    const database = openDatabase(embedded.url);
    stops.push(() => database.close());
    const hasher = createPasswordHasher();
    const config = readConfig({});
    const gatehouse = await createGatehouse({
      database,
      hasher,
      createCodec: createTokenCodec,
      rules: config,
      jwtAlgorithm: config.jwtAlgorithm,
      secrets: ['a-secret-of-more-than-32-bytes-for-a-measurement'],
    });
    const app = await buildApp({ gatehouse, config, logger: pino({ level: 'silent' }) });
    stops.push(() => app.close());
    await use({ database, hasher, app });
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
