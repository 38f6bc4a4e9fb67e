/** Everything that is kept about one user, for who asks what is known of them: part by part, and no hash. */
import type { Database } from '../../database/prisma.js';
import { AuthError } from '../errors.js';
import { findAttempts, type CountedAttempts } from '../guessing/locks.js';
import { findUserById, type FoundUser } from '../users/found.js';
import { findRevocations, findSessions, type FoundRevocation, type FoundSession } from './lists.js';
import { NO_PLACE } from './pages.js';

/** Of sessions, and of revocations, that one part has at most. */
const PART = 1000;

/** One part: who the user is stands in each of them, and sessions come before revocations. */
export interface UserExport {
  user: FoundUser;
  /** What is counted of attempts at the password. */
  attempts: CountedAttempts[];
  /** For each network that the user logged in from lately: until when it is remembered. Which network it is, only a hash says. */
  knownNetworks: Date[];
  sessions: FoundSession[];
  revocations: FoundRevocation[];
  /** Names the next part; null after the last. */
  next: string | null;
}

const PLACE = /^(?<list>sessions|revocations)(?:~(?<after>.{1,200}))?$/;

/**
 * Reads one part. Each part is what is kept at its moment: a session that is opened between two of them may be missing.
 *
 * @param after the `next` of the part before; null for the first
 * @returns null where there is no such user
 * @throws {AuthError} invalid_request for another `after`
 */
export async function exportUser(
  database: Database,
  id: string,
  after: string | null,
): Promise<UserExport | null> {
  const place = PLACE.exec(after ?? 'sessions')?.groups;
  if (place === undefined) throw new AuthError('invalid_request', { detail: NO_PLACE });
  const user = await findUserById(database, id);
  if (user === null) return null;
  const { attempts, knownNetworks } = await findAttempts(database, user.username);
  const about = { user, attempts, knownNetworks };
  const everything = { userId: id, since: null, until: null };
  const order = { limit: PART, after: place['after'] ?? null };
  let sessions: FoundSession[] = [];
  if (place['list'] === 'sessions') {
    const page = await findSessions(database, { ...everything, networks: null }, order);
    if (page.next !== null)
      return { ...about, sessions: page.rows, revocations: [], next: `sessions~${page.next}` };
    sessions = page.rows;
    order.after = null;
  }
  const filter = { ...everything, sessionId: null, endingId: null, actor: null };
  const { rows, next } = await findRevocations(database, filter, order);
  return { ...about, sessions, revocations: rows, next: next === null ? null : `revocations~${next}` };
}
