/** The tokens of a page whose browser keeps them in cookies: the page sees none of them, and knows only what answers and other tabs said. */
import type { Change, TokenStorage } from './api.js';
import type { Emit, TokenStore } from './token-store.js';

/** So many ids of sessions that ended are kept, each with a space behind it. */
const KEPT_CHARACTERS = 10 * 37;

/**
 * The storage keeps the ids of sessions that ended: a page that waited for the back button, deaf, knows by them, mostly
 * before it is seen, that its own is over; else the service tells it. No id comes back, so none of them can sign out a session that lives.
 */
export function createCookieStore(name: string, storage: TokenStorage, emit: Emit): TokenStore {
  // Not the whole name: other tabs hear of it by the channel, and would ask once more on each word in the storage.
  const slot = name.replace('cookie', 'ended');
  /** Undefined: nobody has asked yet. Null: signed out. */
  let sid: string | null | undefined;
  /** Whether somebody asks anew, who was told that the page is signed out. */
  let isInDoubt = false;
  /** The first session of a user who has got another one by a new password since. */
  let first: string | undefined;
  let version = 0;
  let jti: string | undefined;

  /** @param cause what has happened, here or in another tab */
  function move(
    to: string | null,
    type: Change['type'],
    why: Change['why'],
    sessionId: string,
    cause = why,
  ): void {
    first = cause === 'password' ? (first ?? sid ?? undefined) : undefined;
    sid = to;
    isInDoubt = false;
    version += 1;
    jti = undefined;
    emit(type, why, sessionId);
  }

  const endedIds = () => storage.getItem(slot) ?? '';

  function note(ended: string): void {
    try {
      storage.setItem(slot, `${ended} ${endedIds()}`.slice(0, KEPT_CHARACTERS));
    } catch {
      // Full: then such a page has to wait for what the service says.
    }
  }

  return {
    read: () =>
      sid === null && !isInDoubt
        ? null
        : { sid: sid ?? undefined, who: first ?? sid ?? undefined, key: String(version) },
    // Renewals by cookie happen out of sight: a 401 tells when one is due.
    isDue: () => false,
    keep: ({ session_id: id = '' }, why) => {
      if (why !== 'refresh') move(id, 'signed-in', why, id);
      else if (sid !== undefined && sid !== id) move(id, 'signed-in', 'other-tab', id);
      else move(id, 'renewed', why, id);
    },
    takeUp: () => undefined,
    saw: (session) => {
      const isRenewed = sid === session.sid && jti !== undefined && jti !== session.jti;
      // The cookies are another session's than we knew, or of one where we knew of none.
      if (sid !== undefined && sid !== session.sid) move(session.sid, 'signed-in', 'other-tab', session.sid);
      isInDoubt = false;
      ({ sid, jti } = session);
      if (isRenewed) emit('renewed', 'reissue', sid);
    },
    drop: (id, why) => {
      if ((sid ?? undefined) !== id) return;
      if (sid) note(sid);
      if (sid || why === 'logout') move(null, 'signed-out', why, id ?? '');
      else {
        sid = null;
        isInDoubt = false;
      }
    },
    hear: (change) => {
      if (!change?.sessionId) {
        if (sid && endedIds().includes(sid)) move(null, 'signed-out', 'other-tab', sid);
        return;
      }
      const { type, why, sessionId } = change;
      if (type !== 'signed-out') move(sessionId, type, 'other-tab', sessionId, why);
      else if (sid === undefined || sid === sessionId) move(null, type, 'other-tab', sessionId);
    },
    proof: () => undefined,
    wonder: () => {
      isInDoubt = true;
    },
  };
}
