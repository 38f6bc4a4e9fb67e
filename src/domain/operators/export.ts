/** Everything that is kept about one user, for who asks what is known of them: part by part, and no hash. */
import type { Database } from '../../database/prisma.js';
import { AuthError } from '../errors.js';
import { findAttempts, type CountedAttempts } from '../guessing/locks.js';
import { findCodeExpiry } from '../passwords/codes.js';
import { findUserById, type FoundUser } from '../users/found.js';
import { findEvents, type FoundEvent } from './events.js';
import { findRevocations, type FoundRevocation } from './found-revocations.js';
import { findSessions, type FoundSession } from './found-sessions.js';
import { NO_PLACE, type PageOrder } from './pages.js';

/** Of sessions, of revocations and of events, that one part has at most. */
const PART = 1000;

/** One part: who the user is stands in each of them; sessions come before revocations, and revocations before events. */
export interface UserExport {
  user: FoundUser;
  /** What is counted of attempts at the password. */
  attempts: CountedAttempts[];
  /** For each network that the user logged in from lately: until when it is remembered. Which network it is, only a hash says. */
  knownNetworks: Date[];
  /** Until when a code can set the password; null where there is none. */
  codeExpiresAt: Date | null;
  sessions: FoundSession[];
  revocations: FoundRevocation[];
  events: FoundEvent[];
  /** Names the next part; null after the last. */
  next: string | null;
}

const PLACE = /^(?<list>sessions|revocations|events)(?:~(?<after>.{1,200}))?$/;

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
  const begun = PLACE.exec(after ?? 'sessions')?.groups;
  if (begun === undefined) throw new AuthError('invalid_request', { detail: NO_PLACE });
  const user = await findUserById(database, id);
  if (user === null) return null;
  const { attempts, knownNetworks } = await findAttempts(database, user.username);
  const part: UserExport = {
    user,
    attempts,
    knownNetworks,
    codeExpiresAt: await findCodeExpiry(database, id),
    sessions: [],
    revocations: [],
    events: [],
    next: null,
  };
  const ofUser = { userId: id, since: null, until: null };
  const readers = {
    sessions: async (order: PageOrder) => {
      const { rows, next } = await findSessions(database, { ...ofUser, networks: null }, order);
      part.sessions = rows;
      return next;
    },
    revocations: async (order: PageOrder) => {
      const filter = { ...ofUser, sessionId: null, endingId: null, actor: null };
      const { rows, next } = await findRevocations(database, filter, order);
      part.revocations = rows;
      return next;
    },
    events: async (order: PageOrder) => {
      const { rows, next } = await findEvents(database, { ...ofUser, actor: null, type: null }, order);
      part.events = rows;
      return next;
    },
  };
  const lists = Object.keys(readers) as (keyof typeof readers)[];
  let place = begun['after'] ?? null;
  for (const list of lists.slice(lists.indexOf(begun['list'] as keyof typeof readers))) {
    const next = await readers[list]({ limit: PART, after: place });
    if (next !== null) return { ...part, next: `${list}~${next}` };
    place = null;
  }
  return part;
}
