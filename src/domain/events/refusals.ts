/** Requests that a limit or a door refused: counted in memory, and written as events once a minute. */
import type { ErrorCode } from '@gatehouse/protocol';
import { v7 as uuidv7 } from 'uuid';

import type { Database } from '../../database/prisma.js';
import { LIMITS } from '../errors.js';
import { networkOf } from '../networks.js';
import { told } from '../reports/told.js';
import { repeat } from '../scheduling/repeat.js';
import { firstRow } from '../service/service-row.js';
import { actorOfClient, GATEHOUSE } from '../sessions/actors.js';
import type { EventType } from './recorded.js';

/** Limits whose refusals are counted; `hashing` is the room to hash passwords. */
export const COUNTED_LIMITS = [...LIMITS, 'hashing'] as const;

/** What a door answers whom it does not let in, where that is counted. */
export const COUNTED_REFUSALS = [
  'invalid_client',
  'insufficient_scope',
  'csrf_rejected',
] as const satisfies ErrorCode[];

/** Doors that a request can stand before. docs/events.md says who passes through each. */
export const DOORS = ['anyone', 'users', 'clients', 'operators'] as const;
export type Door = (typeof DOORS)[number];

/** Counters that one replica keeps at most, all of its processes together. */
export const MOST_COUNTERS = 10_000;

/** Those without a network that there can be. One of each can wait for its answer while another one counts. */
const KINDS = (COUNTED_LIMITS.length + COUNTED_REFUSALS.length) * DOORS.length;

/** Events that one statement writes at most. */
const BATCH = 1000;

const INTERVAL_MS = 60_000;

export interface Refusal {
  /** What the caller was answered. */
  outcome: ErrorCode;
  /** The limit that was reached; null where a door refused. */
  limit: (typeof COUNTED_LIMITS)[number] | null;
  door: Door;
  /** The client that has proved who it is; null where none has. Its id is a name that an operator gave, and none that a caller chose. */
  client: { id: string } | null;
  /** Of the caller. */
  address: string;
}

/** What events of one kind have in common. The network is null for what found no counter of its own. */
interface Counter {
  type: EventType & `request.${string}`;
  outcome: ErrorCode;
  actor: string;
  ip: string | null;
  reason: string | null;
  door: Door;
  times: number;
}

export interface Refusals {
  /** Counts a request that was refused. It asks nothing and never throws. */
  count: (refusal: Refusal) => void;
  /**
   * Writes an event of each counter, and begins to count anew. Where it fails, nothing is lost: the next call writes the rest.
   *
   * @throws {DatabaseUnavailable}
   */
  write: () => Promise<void>;
  /** How many counters there are. */
  size: () => number;
  /** Gives up all that is not written. */
  lose: (cause: unknown) => void;
}

/**
 * @param options.processes how many processes of this replica count, each for itself
 * @returns null where no events of refused requests are kept: then nobody counts
 */
export function createRefusals(
  database: Pick<Database, 'query' | 'events'>,
  { processes = 1 }: { processes?: number } = {},
): Refusals | null {
  if (database.events !== 'all') return null;
  const mostOfNetworks = Math.floor(MOST_COUNTERS / processes) - 2 * KINDS;
  let counters = new Map<string, Counter>();
  /** A batch that was sent and not answered yet, or whose answer did not come: it may be there, under these ids. */
  let sent: (Counter & { id: string })[] = [];

  function begin(kind: string, counter: Omit<Counter, 'times'>): void {
    const known = counters.get(kind);
    if (known === undefined) counters.set(kind, { ...counter, times: 1 });
    else known.times += 1;
  }

  /** Takes the oldest counters out, and gives each the id of its event. */
  function take(most: number, at: Date): typeof sent {
    const taken: typeof sent = [];
    for (const [key, counter] of counters) {
      if (taken.length === most) break;
      counters.delete(key);
      taken.push({ id: uuidv7({ msecs: at.getTime() }), ...counter });
    }
    return taken;
  }

  async function send(): Promise<void> {
    if (sent.length === 0) return;
    await insertEvents(database, sent);
    sent = [];
  }

  return {
    count: ({ outcome, limit, door, client, address }) => {
      const actor = client === null ? GATEHOUSE : actorOfClient(client);
      const ip = networkOf(address);
      const kind = `${outcome} ${limit ?? ''} ${door}`;
      // No part of it contains a space.
      const known = counters.get(`${kind} ${actor} ${ip}`);
      if (known !== undefined) {
        known.times += 1;
        return;
      }
      const type = limit === null ? 'request.refused' : 'request.limited';
      const counter = { type, outcome, reason: limit, door } as const;
      if (counters.size + sent.length < mostOfNetworks)
        begin(`${kind} ${actor} ${ip}`, { ...counter, actor, ip });
      else begin(kind, { ...counter, actor: GATEHOUSE, ip: null });
    },

    write: async () => {
      await send();
      if (counters.size === 0) return;
      const at = await readClock(database);
      // What is counted from here on is for the next time.
      for (let left = counters.size; left > 0; left -= BATCH) {
        sent = take(Math.min(left, BATCH), at);
        await send();
      }
    },

    size: () => counters.size + sent.length,

    lose: (cause) => {
      for (const type of ['request.limited', 'request.refused'] as const) {
        const events = [...sent, ...counters.values()].filter((counter) => counter.type === type).length;
        if (events > 0) told.unrecorded.tell({ type, events, cause });
      }
      sent = [];
      counters = new Map();
    },
  };
}

/** By the primary's clock, like the ids of all other events. */
async function readClock(database: Pick<Database, 'query'>): Promise<Date> {
  return firstRow(await database.query({ now: 'timestamptz' })`SELECT clock_timestamp() AS now`).now;
}

async function insertEvents(
  database: Pick<Database, 'query'>,
  counters: (Counter & { id: string })[],
): Promise<void> {
  const events = counters.map(({ door, times, ...event }) => ({ ...event, detail: { door, times } }));
  // Settles a batch whose answer was lost against its repetition: both have the same ids, and the second writes what is not there. It
  // waits for a first one whose commit is still under way.
  await database.query({})`
    INSERT INTO events (id, type, outcome, actor, ip, reason, detail)
    SELECT id, type, outcome, actor, ip, reason, detail
    FROM jsonb_to_recordset(${JSON.stringify(events)}::jsonb) AS counted (
      id uuid, type text, outcome text, actor text, ip inet, reason text, detail jsonb
    )
    ON CONFLICT (id) DO NOTHING`;
}

/**
 * Writes the counters once a minute.
 *
 * @param onError is told why that failed; the next time writes them all the same
 * @returns stops it, after a last attempt: what that cannot write is lost
 */
export function startWritingRefusals(
  { write, lose }: Refusals,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stop = repeat(
    () => write().catch(onError),
    () => INTERVAL_MS,
  );
  return async () => {
    await stop();
    await write().catch(lose);
  };
}
