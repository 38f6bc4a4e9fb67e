/** What every new connection proves before it may answer, and the deadlines that it is given. */
import pg from 'pg';

import type { Client } from './driver.js';
import { OVERTAKEN, type Fence } from './fence.js';

import { LOOK_UPS_ONLY, type Settings } from './settings.js';

/**
 * PostgreSQL gives up on a statement so much earlier than we do, so that it seldom commits what nobody awaits. A commit
 * that has begun is beyond this: one that waits for a synchronous standby may still come after our 503.
 */
const SERVER_AHEAD_MS = 100;

/** Why a connection is not used, in words that hold no value. */
export const STANDBY = 'connected to a standby, which may not know the latest revocations';
export const FOREIGN =
  'the database is in another cluster than the one that Gatehouse was started on: a restored dump, a clone, or an upgrade; ' +
  'if that is meant, run `gatehouse database accept`';

export const NO_TRIGGERS =
  'session_replication_role is set to replica, which switches foreign keys off: reset it for this database and role';

/** The settings that a pool's connections have beside those of every connection: to give up in time. */
export function poolSettings(deadlineMs: number, { readsOnly }: { readsOnly: boolean }): Settings {
  const serverDeadlineMs = String(deadlineMs - SERVER_AHEAD_MS);
  const timeouts = { statement_timeout: serverDeadlineMs, lock_timeout: serverDeadlineMs };
  return { ...timeouts, ...(readsOnly ? LOOK_UPS_ONLY : {}) };
}

const STATE = `SELECT pg_is_in_recovery() AS standby, current_setting('session_replication_role') <> 'replica' AS keys`;

const CLUSTER = '(SELECT system_identifier::text FROM pg_control_system()) AS identifier';

/** Cluster and timeline; the name of a WAL file begins with the latter. A standby writes none, and cannot be asked. */
const WHO = `${CLUSTER},
  CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END AS file`;

const STORED = 'SELECT system_identifier AS identifier FROM service';

export interface Verification {
  fence: Fence;
  /** Also another cluster than the stored one, for who is to say whether it is the right one. */
  acceptsForeign: boolean;
}

interface Told {
  standby: boolean;
  /** Whether foreign keys are checked. */
  keys: boolean;
  identifier?: string;
  file?: string | null;
}

/**
 * Every new connection proves that it reaches the primary before it may answer: no standby, since that lags behind the
 * revocations, no primary that was replaced, and none of another cluster.
 */
export function verifyConnection({ fence, acceptsForeign }: Verification) {
  async function ask(client: pg.ClientBase): Promise<Told | undefined> {
    if (fence.isOn()) {
      try {
        return (await client.query<Told>(`${STATE}, ${WHO}`)).rows[0];
      } catch (error) {
        if (!isUntold(error)) throw error;
        fence.turnOff();
      }
    }
    return (await client.query<Told>(STATE)).rows[0];
  }

  /** Why the connection may not answer; null when it may. */
  async function findFault(client: pg.PoolClient): Promise<string | null> {
    const told = await ask(client);
    if (told?.standby !== false) return STANDBY;
    if (!told.keys) return NO_TRIGGERS;
    const { identifier, file } = told;
    if (identifier === undefined || typeof file !== 'string') return null;
    if (!acceptsForeign && !(await isOurs(client, identifier))) return FOREIGN;
    const timeline = Number.parseInt(file.slice(0, 8), 16);
    return fence.admit(client as unknown as Client, { identifier, timeline }) ? null : OVERTAKEN;
  }

  return (client: pg.PoolClient, done: (error?: Error) => void): void => {
    // The pool listens before and after this, not meanwhile: without a listener a connection that breaks now ends us.
    client.on('error', () => undefined);
    findFault(client).then((fault) => {
      if (fault === null) done();
      else done(new Error(fault));
    }, done);
  };
}

/**
 * Whether a connection leads to another cluster than the stored one: for who is about to change the tables. Where the server
 * does not tell, and where none is stored, it is not known to.
 */
export async function isForeign(client: pg.ClientBase): Promise<boolean> {
  let told: { identifier: string } | undefined;
  try {
    told = (await client.query<{ identifier: string }>(`SELECT ${CLUSTER}`)).rows[0];
  } catch (error) {
    if (!isUntold(error)) throw error;
  }
  return told !== undefined && !(await isOurs(client, told.identifier));
}

async function isOurs(client: pg.ClientBase, identifier: string): Promise<boolean> {
  try {
    const [stored] = (await client.query<{ identifier: string | null }>(STORED)).rows;
    return (stored?.identifier ?? identifier) === identifier;
  } catch (error) {
    if (storesNoCluster(error)) return true;
    throw error;
  }
}

/** Whether a statement about the stored cluster failed since it has no place yet: that is for a migration to make. */
export function storesNoCluster(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^42(P01|703)$/.test(error.code ?? '');
}

/**
 * The server understood the question and has no answer: Aurora, which has no WAL of its own, or an account without the
 * right. Otherwise (57 interrupted, 53 out of resources, no SQLSTATE) it has not said anything.
 */
function isUntold(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(0A|42|55|XX)/.test(error.code ?? '');
}
