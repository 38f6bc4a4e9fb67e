/** The purse of a page whose tokens are in cookies: it sees none of them, and knows only what answers and other tabs said. */
import type { Change } from './gatehouse.js';
import type { Emit, Purse } from './purse.js';

export function createCookiePurse(emit: Emit): Purse {
  /** Undefined: nobody has asked yet. Null: signed out. */
  let sid: string | null | undefined;
  let version = 0;
  let jti: string | undefined;

  function move(to: string | null, type: Change['type'], why: Change['why'], sessionId: string): void {
    sid = to;
    version += 1;
    jti = undefined;
    emit(type, why, sessionId);
  }

  return {
    read: () => (sid === null ? null : { sid, key: String(version) }),
    // Renewals by cookie happen out of sight: a 401 tells when one is due.
    isDue: () => false,
    keep: ({ session_id: id = '' }, why) => {
      if (why === 'login') move(id, 'signed-in', why, id);
      else if (sid && sid !== id) move(id, 'signed-in', 'other-tab', id);
      else move(id, 'renewed', why, id);
    },
    takeUp: () => undefined,
    saw: (session) => {
      const isNews = sid === session.sid && jti !== undefined && jti !== session.jti;
      ({ sid, jti } = session);
      if (isNews) emit('renewed', 'reissue', sid);
    },
    drop: (id, why) => {
      if (sid !== id) return;
      if (sid) move(null, 'signed-out', why, sid);
      else sid = null;
    },
    hear: (change) => {
      if (!change) return;
      const { type, sessionId } = change;
      if (type !== 'signed-out') move(sessionId, type, 'other-tab', sessionId);
      else if (!sid || sid === sessionId) move(null, type, 'other-tab', sessionId);
    },
    proof: () => undefined,
    wonder: () => {
      sid ??= undefined;
    },
  };
}
