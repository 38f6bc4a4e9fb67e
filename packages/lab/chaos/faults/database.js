// @ts-check
// Faults of PostgreSQL itself.
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** @typedef {import('./stage.js').Fault} Fault */
/** @typedef {import('./stage.js').Stage} Stage */

/** SQLSTATE */
const LOCK_NOT_AVAILABLE = '55P03';

/** How long PostgreSQL stays away: long enough to be asked meanwhile. */
const AWAY_MS = /** @type {const} */ ([100, 800]);

/** How long it stays away for an outage that lengthens windows. */
const LONG_AWAY_MS = /** @type {const} */ ([5100, 6000]);

/** How long nobody beats: what is asked in the last seconds of it finds the beat too old. */
const SILENT_MS = /** @type {const} */ ([7000, 8500]);

/** Before an outage is so much time for whoever is to sleep through it: what only chance brought together would be seldom. */
const NOTICE_MS = /** @type {const} */ ([800, 1600]);

const POLL_MS = 10;
const ASK_WITHIN_MS = 3000;
/** A replica that has not answered by then is told as what it is: too late. */
const GIVE_UP_MS = 20_000;

/** @type {Record<string, Fault>} */
export const DATABASE_FAULTS = {
  'kill-postgres': {
    weight: 10,
    hits: 'postgres',
    run: async (stage) => {
      await takeDown(stage, 'kill-postgres', { away: stage.cluster.postgres.kill, awayMs: AWAY_MS });
      stage.counts.kills.postgres += 1;
    },
  },

  'stop-postgres': {
    weight: 2,
    hits: 'postgres',
    run: (stage) =>
      takeDown(stage, 'stop-postgres', { away: stage.cluster.postgres.stopImmediately, awayMs: AWAY_MS }),
  },

  /** An outage that everybody notices. */
  'long-absence': {
    weight: 0.2,
    hits: 'postgres',
    run: (stage) =>
      duringOutage(stage, () =>
        takeDown(stage, 'long-absence', {
          away: stage.cluster.postgres.stopImmediately,
          awayMs: LONG_AWAY_MS,
        }),
      ),
  },

  /** An outage that nobody notices but by its effect: all is answered, and the beat stands still. */
  'silent-beat': {
    weight: 0.2,
    hits: 'postgres',
    run: (stage) =>
      duringOutage(stage, () =>
        stage.note({ target: 'postgres' }, () =>
          holdLock(stage.cluster.postgres.adminUrl, `SELECT FROM beat FOR UPDATE`, () =>
            stage.wait(...SILENT_MS),
          ),
        ),
      ),
  },

  'terminate-backends': {
    weight: 2,
    hits: 'postgres',
    run: ({ cluster, note }) => note({ target: 'postgres' }, cluster.postgres.terminateBackends),
  },

  /** Whoever asks for a session waits, until no connection of the pools is left. */
  'exhaust-pool': {
    weight: 1,
    hits: 'postgres',
    run: ({ cluster, note, wait }) =>
      note({ target: 'postgres' }, () =>
        holdLock(cluster.postgres.adminUrl, `LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE`, () =>
          wait(1000, 3000),
        ),
      ),
  },
};

/** @param {Stage} stage @param {() => Promise<void>} work */
async function duringOutage({ outages, wait }, work) {
  outages.announce();
  await wait(...NOTICE_MS);
  await outages.during(work);
}

/** @param {string} url @param {string} lock takes it @param {() => Promise<void>} meanwhile */
async function holdLock(url, lock, meanwhile) {
  const client = new pg.Client({ connectionString: url, application_name: 'chaos' });
  // The query that it breaks says so.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = '2s'; ${lock}`);
    await meanwhile();
  } catch (error) {
    // Somebody else holds a row for longer: all the others have waited behind this lock, as they were to.
    if (!(error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE)) throw error;
  } finally {
    await client.end();
  }
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {{ away: () => Promise<void>, awayMs: readonly [number, number] }} how
 */
async function takeDown(stage, name, { away, awayMs }) {
  const { cluster, counts, note, wait, withoutDatabase } = stage;
  await note({ target: 'postgres', isKill: true }, away);
  await withoutDatabase(() => wait(...awayMs));
  const recoveredMs = await cluster.postgres.start();
  counts.restarts.push({ name, recoveredMs, ...(await timeAnswers(stage)) });
}

/** How long it takes the replicas to answer truthfully again. @param {Stage} stage */
async function timeAnswers({ cluster, isSpared }) {
  const since = performance.now();
  const spared = cluster.replicas.filter(isSpared);
  const times = await Promise.all(
    spared.map(async (replica) => {
      while (performance.now() - since < GIVE_UP_MS && !(await answers(replica, cluster.client)))
        await sleep(POLL_MS);
      return { replica, ms: performance.now() - since };
    }),
  );
  const counted = times.filter(({ replica }) => isSpared(replica)).map(({ ms }) => ms);
  if (counted.length === 0) return { firstMs: null, slowestMs: null };
  return { firstMs: Math.min(...counted), slowestMs: Math.max(...counted) };
}

/**
 * Whether it can say of a token, be it none of ours, that it is not active: it says so only when the database did.
 *
 * @param {import('../replica.js').Replica} replica
 * @param {{ id: string, secret: string }} client
 */
async function answers({ url, isReady }, { id, secret }) {
  if (!(await isReady())) return false;
  const body = new URLSearchParams({ token: 'none', client_id: id, client_secret: secret });
  try {
    const signal = AbortSignal.timeout(ASK_WITHIN_MS);
    const answer = await fetch(`${url}/introspect`, { method: 'POST', body, signal });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    return false;
  }
}
