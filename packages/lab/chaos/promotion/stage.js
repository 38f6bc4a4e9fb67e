// @ts-check
// All that a drill needs: the databases that it is given, replicas of the service, callers, and what remembers and judges.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

import { noteBeats, readBeats } from '../beats.js';
import { createHttp } from '../http.js';
import { createRecorder } from '../history.js';
import { openOperator } from '../operator.js';
import { findFreePort } from '../../shared/ports.js';
import { importFrom } from '../postgres.js';
import { createQuestions } from '../questions.js';
import { createReplica } from '../replica.js';
import { createAudit } from './audit.js';
import { createLedger } from './ledger.js';

const SECRET = 'the-secret-of-a-drill-which-is-long-enough-by-far';
const PASSWORD = 'correct horse battery staple';

/** Beside whatever else a machine is busy with. */
const FIRST_START_WITHIN_MS = 60_000;

/** The service's own defaults: over a whole run nothing ends by its age. */
const RULES = {
  accessTtl: 600,
  refreshTtl: 14 * 86_400,
  sessionTtl: 90 * 86_400,
  grace: 60,
  reissueMax: 90,
  replayWindow: 30,
  issuer: 'http://gatehouse.drill',
  audience: 'gatehouse',
};

/**
 * @template Databases
 * @typedef {Awaited<ReturnType<typeof openStage<Databases>>>} StageOf
 */

/** @typedef {StageOf<{}>} Stage as far as all forms of the drill have it */

/** @typedef {Pick<Parameters<typeof openStage>[0], 'dist' | 'callers' | 'seed' | 'log' | 'closes'>} Shared what the command line says to all forms */
/** @typedef {{ run: (shared: Shared) => Promise<{ findings: { violations: string[] }, text: string }> }} Form a form of the drill, with all programs that it needs */

/**
 * @template Databases
 * @param {object} options
 * @param {string} options.dist
 * @param {(place: { directory: string, closers: (() => unknown)[] }) => Promise<{ urls: [string, ...string[]], databases: Databases }>} options.openDatabases
 *   one URL for each replica, and what the drill does the rest with
 * @param {number} options.callers
 * @param {number=} options.others how many users there are besides, for the drill's own questions
 * @param {number=} options.accessTtl seconds: longer than a run, so that nothing ends by its age
 * @param {number} options.seed
 * @param {(line: string) => void} options.log
 * @param {(() => Promise<void>)[]} options.closes where it is noted how all that was started is stopped, from the first moment on
 */
export async function openStage({
  dist,
  openDatabases,
  callers,
  others = 0,
  accessTtl = RULES.accessTtl,
  seed,
  log,
  closes,
}) {
  /** @type {(() => Promise<unknown> | unknown)[]} */
  const closers = [];
  /** @type {Promise<void> | null} */
  let closing = null;
  // Twice where a run is broken off: by the signal, and by the drill that fails then.
  const close = () =>
    (closing ??= (async () => {
      for (const closer of closers.splice(0).reverse()) await closer();
    })());
  closes.push(close);
  try {
    const directory = await mkdtemp(join(tmpdir(), 'gatehouse-promotion-'));
    closers.push(() => rm(directory, { recursive: true, force: true }));
    const { urls, databases } = await openDatabases({ directory, closers });
    const [url] = urls;

    const { migrate } = await importFrom(dist, 'database/migrate.js');
    await migrate(url);
    await noteBeatsAt(url);
    const operator = await openOperator({ dist, url, secret: SECRET });
    const client = await operator.addClient('drill');
    const names = Array.from({ length: callers + others }, (_, number) => `caller-${number}`);
    for (const name of names) await operator.addUser(name, PASSWORD);
    await operator.close();

    const replicas = await startReplicas({ dist, directory, urls, accessTtl, log, closers });
    const recorder = createRecorder({ seed, rules: { ...RULES, accessTtl } });
    const ledger = createLedger();
    const http = createHttp(recorder.now);
    closers.push(http.close);
    const questions = createQuestions({
      http,
      client,
      recorder: {
        token: recorder.token,
        mark: recorder.mark,
        add: (operation) => {
          ledger.note(operation);
          // Its commit waits for a standby, however long that takes.
          recorder.add({ ...operation, isOpenEnded: true });
        },
      },
    });
    return {
      ...databases,
      replicas,
      recorder,
      ledger,
      questions,
      audit: createAudit({ questions, replicas, ledger }),
      now: recorder.now,
      /** The checker has to know when nothing could be written: the window of a refresh does not count it. */
      readBeats: async () => {
        try {
          recorder.setBeats(await readBeats(url));
        } catch (error) {
          ledger.wrong.push(
            `the beats cannot be read: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
      },
      /** @param {{ name: string, target: string, isKill: boolean, start?: number, end?: number }} fault */
      noteFault: (fault) => {
        const now = recorder.now();
        recorder.add({
          kind: 'fault',
          replica: 'operator',
          client: 0,
          start: now,
          end: now,
          outcome: 'ok',
          status: null,
          error: null,
          ...fault,
        });
      },
      users: names.slice(0, callers),
      others: names.slice(callers),
      password: PASSWORD,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @param {string} url of the owner */
async function noteBeatsAt(url) {
  const client = new pg.Client({ connectionString: url, application_name: 'chaos' });
  await client.connect();
  try {
    await noteBeats({ query: (text) => client.query(text) });
  } finally {
    await client.end();
  }
}

/**
 * @param {{ dist: string, directory: string, urls: string[], accessTtl: number, log: (line: string) => void,
 *   closers: (() => unknown)[] }} options
 */
async function startReplicas({ dist, directory, urls, accessTtl, log, closers }) {
  const shared = {
    ACCESS_TOKEN_TTL: `${accessTtl}s`,
    AUTH_SECRET: SECRET,
    ISSUER: RULES.issuer,
    // Every caller tells an address of its own, so that limits per network do not answer in the place of the service.
    TRUST_PROXY: '127.0.0.1',
    DOCS: 'off',
    LOG_LEVEL: 'warn',
  };
  const replicas = [];
  for (const [index, url] of urls.entries()) {
    const port = await findFreePort();
    const name = `replica-${index + 1}`;
    const environment = { ...shared, DATABASE_URL: url };
    // What stands before PostgreSQL here is the drill's own.
    const proxy = /** @type {any} */ (null);
    const replica = createReplica({ name, port, dist, directory, environment, proxy, log });
    closers.push(replica.kill);
    if (!(await replica.start({ withinMs: FIRST_START_WITHIN_MS })))
      throw new Error(`${replica.name} did not start`);
    replicas.push(replica);
  }
  return replicas;
}
