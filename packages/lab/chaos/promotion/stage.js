// @ts-check
// All that the drill needs: PostgreSQL with its standbys, what stands in front of it, replicas of the service, and callers.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createHttp } from '../http.js';
import { createRecorder } from '../history.js';
import { openOperator } from '../operator.js';
import { findFreePort } from '../../shared/ports.js';
import { importFrom } from '../postgres.js';
import { createQuestions } from '../questions.js';
import { createReplica } from '../replica.js';
import { createAudit } from './audit.js';
import { openGroup } from './group.js';
import { findHaproxy, openHaproxy } from './haproxy.js';
import { createLedger } from './ledger.js';
import { openSwitch } from './switch.js';

const SECRET = 'the-secret-of-a-drill-which-is-long-enough-by-far';
const PASSWORD = 'correct horse battery staple';
const REPLICAS = 2;

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

/** @typedef {Awaited<ReturnType<typeof openStage>>} Stage */

/**
 * @param {object} options
 * @param {string} options.dist
 * @param {import('./binaries.js').Programs} options.programs
 * @param {number} options.standbys
 * @param {boolean} options.useHaproxy where there is one
 * @param {number} options.callers
 * @param {number} options.seed
 * @param {(line: string) => void} options.log
 */
export async function openStage({ dist, programs, standbys, useHaproxy, callers, seed, log }) {
  /** @type {(() => Promise<unknown> | unknown)[]} */
  const closers = [];
  async function close() {
    for (const closer of closers.splice(0).reverse()) await closer();
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'gatehouse-promotion-'));
    closers.push(() => rm(directory, { recursive: true, force: true }));
    const group = await openGroup({ programs, directory, standbys, closers });
    const haproxy = useHaproxy ? await findHaproxy() : null;
    const front =
      haproxy === null
        ? await openSwitch()
        : await openHaproxy({ program: haproxy, directory, nodes: group.nodes });
    closers.push(front.close);
    await front.follow(group.primary());
    const url = `postgresql://owner:${group.password}@127.0.0.1:${front.port}/gatehouse`;

    const { migrate } = await importFrom(dist, 'database/migrate.js');
    await migrate(url);
    const operator = await openOperator({ dist, url, secret: SECRET });
    const client = await operator.addClient('drill');
    const users = Array.from({ length: callers }, (_, number) => `caller-${number}`);
    for (const user of users) await operator.addUser(user, PASSWORD);
    await operator.close();

    const replicas = await startReplicas({ dist, directory, url, log, closers });
    const recorder = createRecorder({ seed, rules: RULES });
    const ledger = createLedger();
    const http = createHttp(recorder.now);
    closers.push(http.close);
    const questions = createQuestions({
      http,
      client,
      recorder: {
        token: recorder.token,
        add: (operation) => {
          ledger.note(operation);
          // Its commit waits for a standby, however long that takes.
          recorder.add({ ...operation, isOpenEnded: true });
        },
      },
    });
    return {
      group,
      front,
      replicas,
      recorder,
      ledger,
      questions,
      audit: createAudit({ questions, replicas, ledger }),
      now: recorder.now,
      /** @param {{ name: string, target: string, isKill: boolean }} fault */
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
      users,
      password: PASSWORD,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * @param {{ dist: string, directory: string, url: string, log: (line: string) => void,
 *   closers: (() => unknown)[] }} options
 */
async function startReplicas({ dist, directory, url, log, closers }) {
  const environment = {
    DATABASE_URL: url,
    AUTH_SECRET: SECRET,
    ISSUER: RULES.issuer,
    // Every caller tells an address of its own, so that limits per network do not answer in the place of the service.
    TRUST_PROXY: '127.0.0.1',
    DOCS: 'off',
    LOG_LEVEL: 'warn',
  };
  const replicas = [];
  for (let number = 1; number <= REPLICAS; number += 1) {
    const port = await findFreePort();
    const name = `replica-${number}`;
    // What stands before PostgreSQL here is the switch, for all replicas alike.
    const proxy = /** @type {any} */ (null);
    const replica = createReplica({ name, port, dist, directory, environment, proxy, log });
    closers.push(replica.kill);
    if (!(await replica.start({ withinMs: FIRST_START_WITHIN_MS })))
      throw new Error(`${replica.name} did not start`);
    replicas.push(replica);
  }
  return replicas;
}
