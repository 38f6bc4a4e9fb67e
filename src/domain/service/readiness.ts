/** What keeps a replica from answering truthfully, or from answering all that it may be asked. */
import type { Database } from '../../database/prisma.js';
import { refusalOfWritesIn, type RefusalOfWrites } from '../../database/unavailable.js';
import { COMMITS_WAIT } from '../../database/stalled-commits.js';

/**
 * - `shared_connections`: a pooler lends the database's connections by transaction, so that deadlines and durability get lost
 * - `wrong_secret`: AUTH_SECRET does not open the signing keys in force, so that this replica can read but not sign
 * - `disk_full`: the database's disk has no room, so that tokens are judged and nothing else can be done
 * - `read_only`: the same, since the database takes no writes: what some providers do when a disk is nearly full
 */
export type Hindrance = 'shared_connections' | 'wrong_secret' | RefusalOfWrites;

export interface Readiness {
  /** What keeps this replica from answering truthfully; null when nothing does. */
  hindrance: Hindrance | null;
  /**
   * Whether commits wait for a synchronous standby that is away: as long as they do, tokens are judged, and every login, refresh and
   * logout is answered that nobody knows. No hindrance: no other replica could do more, and to judge tokens is most of the work.
   */
  doCommitsWait: boolean;
  /** Whether a primary that was replaced is recognized: the server tells who it is. */
  isFenced: boolean;
}

/**
 * @param reader whose connections no commit can hold
 * @param canSign whether AUTH_SECRET opens the signing keys in force
 * @throws {DatabaseUnavailable}
 */
export async function findReadiness(
  { database, reader }: Record<'database' | 'reader', Database>,
  canSign: () => Promise<boolean>,
): Promise<Readiness> {
  const found = { doCommitsWait: false, isFenced: database.isFenced() };
  // Asked first: behind such a pooler other statements fail in other ways.
  if (!(await reader.keepsSettings())) return { ...found, hindrance: 'shared_connections' };
  if (!(await canSign())) return { ...found, hindrance: 'wrong_secret' };
  // Before a write is tried, which takes a commit.
  if (await doCommitsWait(reader)) return { ...found, doCommitsWait: true, hindrance: null };
  return { ...found, hindrance: await findWriteHindrance(database) };
}

/** Each second a replica writes the beat, so that there is always a commit to be seen. */
export async function doCommitsWait(reader: Database): Promise<boolean> {
  const [row] = await reader.query({ wait: 'bool' })`SELECT ${COMMITS_WAIT} AS wait`;
  return row?.wait === true;
}

/** More than a page of rows: a smaller write may find room in a page that is there. */
const ROWS = 500;

/** Tries to write, once a write of this replica was refused; until then nothing is asked. */
export async function findWriteHindrance(database: Database): Promise<RefusalOfWrites | null> {
  if (!database.writes.areRefused) return null;
  try {
    // Settles nothing. The time of these rows is over, and housekeeping deletes them.
    await database.query({})`
      INSERT INTO login_attempts (key, points, expire)
      SELECT 'room:' || gen_random_uuid(), 0, 0 FROM generate_series(1, ${ROWS}::int4)`;
  } catch (error) {
    const hindrance = refusalOfWritesIn(error);
    // Anything else says that the database cannot be asked, and nothing of why it refused a write before.
    if (hindrance === undefined) throw error;
    return hindrance;
  }
  database.writes.areRefused = false;
  return null;
}
