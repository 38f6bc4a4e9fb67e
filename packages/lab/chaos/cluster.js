// @ts-check
// What a run works on: replicas as processes of their own, one PostgreSQL, and a proxy between it and each of them.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { noteBeats, readBeats } from './beats.js';
import { noteEvents, readEvents } from './noted-events.js';
import { openOperator } from './operator.js';
import { findFreePort } from '../shared/ports.js';
import { importFrom, openPostgres } from './postgres.js';
import { createProxy } from './proxy.js';
import { createReplica } from './replica.js';

const SECRET = 'the-secret-of-a-run-under-faults-which-is-long-enough';

/** Of clients of `/admin`: two of them, so that one ends what the other has ended, too. */
const ADMINISTRATORS_PERMISSIONS = [
  'users:read',
  'users:write',
  'sessions:read',
  'sessions:end',
  'revocations:lift',
];

/** Of clients that open sessions: two of them, which call their users alike. */
const BACKENDS_PERMISSIONS = ['sessions:open'];

/** All of them at once, and beside whatever else a machine is busy with. */
const FIRST_START_WITHIN_MS = 60_000;

/** @typedef {Awaited<ReturnType<typeof openCluster>>} Cluster */

/**
 * @param {object} options
 * @param {string} options.dist folder of the built service, the shipped one or a mutant's
 * @param {number=} options.replicas
 * @param {import('./history.js').Rules} options.rules
 * @param {Record<string, string>=} options.environment of the replicas, besides what makes them start
 * @param {import('./postgres.js').Postgres=} options.postgres one that is migrated already; whoever opened it closes it
 * @param {((line: string) => void)=} options.log
 */
export async function openCluster({
  dist,
  replicas: count = 3,
  rules,
  environment = {},
  postgres: given,
  log = () => undefined,
}) {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-chaos-'));
  /** @type {(() => Promise<unknown>)[]} */
  const closers = [() => rm(directory, { recursive: true, force: true })];
  // One that fails to close keeps none of the others open.
  async function close({ keep = false } = {}) {
    const [first = () => Promise.resolve(), ...others] = closers.splice(0);
    const ends = await Promise.allSettled(others.reverse().map((closer) => closer()));
    if (!keep) await first();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
  try {
    const postgres = given ?? (await openMigrated({ dist, directory }));
    if (given === undefined) closers.push(postgres.close);
    const operator = await openOperator({ dist, url: postgres.url, secret: SECRET });
    closers.push(operator.close);
    const client = await operator.addClient('chaos');
    const administrators = [];
    for (const id of ['console', 'night-shift'])
      administrators.push(await operator.addClient(id, ADMINISTRATORS_PERMISSIONS));
    const backends = [];
    for (const id of ['shop', 'forum']) backends.push(await operator.addClient(id, BACKENDS_PERMISSIONS));
    const settings = { ...settingsFrom(rules), ...environment };
    const replicas = [];
    for (let number = 1; number <= count; number++) {
      const proxy = await createProxy({ port: postgres.port });
      closers.push(proxy.close);
      const database = new URL(postgres.url);
      database.port = String(proxy.port);
      const port = await findFreePort();
      const replica = createReplica({
        name: `replica-${number}`,
        port,
        dist,
        directory,
        environment: { DATABASE_URL: database.href, ...settings },
        proxy,
        log,
      });
      closers.push(replica.kill);
      replicas.push(replica);
    }
    await Promise.all(replicas.map((replica) => insistOnStart(replica, directory)));
    return {
      directory,
      postgres,
      replicas,
      operator,
      client,
      administrators,
      backends,
      /** What the replicas have written until now. */
      readBeats: () => readBeats(postgres.adminUrl),
      readEvents: () => readEvents(postgres.adminUrl),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * What the checker has to know and no client is told.
 *
 * @param {Pick<import('./history.js').Recorder, 'setBeats' | 'setEvents'>} recorder
 * @param {Pick<Cluster, 'readBeats' | 'readEvents'>} cluster
 */
export async function readDatabase({ setBeats, setEvents }, { readBeats: beats, readEvents: events }) {
  setBeats(await beats());
  setEvents(await events());
}

/**
 * @param {import('./replica.js').Replica} replica
 * @param {string} directory
 */
async function insistOnStart(replica, directory) {
  if (await replica.start({ withinMs: FIRST_START_WITHIN_MS })) return;
  const said = await readFile(join(directory, `${replica.name}.log`), 'utf8');
  throw new Error(`${replica.name} does not start:\n${said.trim().split('\n').slice(-3).join('\n')}`);
}

/**
 * A PostgreSQL with the service's tables, which notes each beat and each event.
 *
 * @param {{ dist: string, directory: string }} options
 */
export async function openMigrated({ dist, directory }) {
  const postgres = await openPostgres(directory);
  try {
    const { migrate } = await importFrom(dist, 'database/migrate.js');
    await migrate(postgres.url);
    await noteBeats(postgres);
    await noteEvents(postgres);
    return postgres;
  } catch (error) {
    await postgres.close();
    throw error;
  }
}

/** @param {import('./history.js').Rules} rules */
function settingsFrom({
  accessTtl,
  refreshTtl,
  sessionTtl,
  grace,
  reissueMax,
  replayWindow,
  issuer,
  audience,
}) {
  return {
    AUTH_SECRET: SECRET,
    ISSUER: issuer,
    AUDIENCE: audience,
    // Every client tells an address of its own, so that limits per network do not answer in the place of the service.
    TRUST_PROXY: '127.0.0.1',
    WORKERS: '1',
    DOCS: 'off',
    LOG_LEVEL: 'error',
    ACCESS_TOKEN_TTL: `${accessTtl}s`,
    REFRESH_TOKEN_TTL: `${refreshTtl}s`,
    SESSION_TTL: `${sessionTtl}s`,
    REISSUE_GRACE: `${grace}s`,
    REISSUE_MAX: String(reissueMax),
    REFRESH_REPLAY_WINDOW: `${replayWindow}s`,
  };
}
