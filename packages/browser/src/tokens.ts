/** The tokens of a page that carries them itself: where they lie, and which of two is the newer one. */
import type { Session, TokenStorage } from './api.js';
import type { Emit, Held, TokenStore } from './token-store.js';

/** What is written in a token. Nothing is decided by it but which of two tokens is newer: only the service can verify one. */
export function claimsOf(token: unknown): Session | null {
  try {
    const [, payload = ''] = String(token).split('.');
    const bytes = atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)))) as Session;
  } catch {
    return null;
  }
}

/** A later successor; or a token of the same second, for which the password was given once more. */
function isNews(next: Session, now: Session): boolean {
  return next.exp > now.exp || (next.exp === now.exp && next.auth_time > now.auth_time);
}

function generationOf(token: string | undefined): number {
  return Number(String(claimsOf(token)?.jti).split('.')[1]);
}

export function createMemory(): TokenStorage {
  const items = new Map<string, string>();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/**
 * The storage is the truth for all tabs, but each may see it a little late. So the two tokens lie apart, and a successor
 * of the access token never writes the refresh token: putting back a spent one would look like theft.
 */
export function createBearerStore(name: string, first: TokenStorage, emit: Emit): TokenStore {
  let storage = first;
  /** A session that ended: what a late storage still shows of it does not count. */
  let ended: string | undefined;
  /** Until when (monotonic, milliseconds) which access token is good. */
  let due: { access: string | undefined; atMs: number } | undefined;
  const slots = { access: `${name}:access`, refresh: `${name}:refresh` };
  let last = read();

  function read(): Held | null {
    const refresh = storage.getItem(slots.refresh);
    const { sid, sub: who } = claimsOf(refresh) ?? {};
    if (refresh === null || sid === undefined || sid === ended) return null;
    const access = storage.getItem(slots.access) ?? '';
    const isOurs = claimsOf(access)?.sid === sid;
    return { sid, who, key: access, refresh, access: isOurs ? access : undefined };
  }

  function write(slot: keyof typeof slots, token: string): void {
    try {
      storage.setItem(slots[slot], token);
    } catch {
      // Full: this tab goes on by itself, and leaves nothing behind that others would use too late.
      const held = read();
      clear();
      storage = createMemory();
      for (const kind of ['access', 'refresh'] as const)
        if (held?.[kind]) storage.setItem(slots[kind], held[kind]);
      storage.setItem(slots[slot], token);
    }
  }

  function clear(): void {
    storage.removeItem(slots.refresh);
    storage.removeItem(slots.access);
  }

  /** Says what changed since the last look, whoever changed it. */
  function look(why: Parameters<Emit>[1]): void {
    const before = last;
    last = read();
    if (last?.sid && last.sid !== before?.sid) emit('signed-in', why, last.sid);
    else if (!last && before?.sid) emit('signed-out', why, before.sid);
    else if (last?.sid && last.access !== before?.access) emit('renewed', why, last.sid);
  }

  return {
    read,
    isDue: () => {
      const held = read();
      if (!held) return false;
      return !held.access || (due?.access === held.access && performance.now() >= due.atMs);
    },
    keep: (body, why, sentAtMs, isPrivate) => {
      const {
        session_id: sid,
        access_token: access = '',
        refresh_token: refresh = '',
        expires_in = NaN,
      } = body;
      look('other-tab');
      const held = read();
      // Without locks, a late answer may be about a session that is over here, or older than what is held.
      if (why !== 'login' && !held) return;
      if (why === 'refresh' && (held?.sid !== sid || generationOf(held?.refresh) > generationOf(refresh)))
        return;
      if (why === 'login') {
        // What the other tabs share is over, too: it would be back with the next page.
        if (isPrivate) clear();
        storage = isPrivate ? createMemory() : first;
      }
      // In this order: another tab that looks between the two sees no session whose access token is missing.
      write('access', access);
      write('refresh', refresh);
      due = { access, atMs: sentAtMs + expires_in * 1_000 };
      look(why);
    },
    takeUp: (successor) => {
      look('other-tab');
      const held = read();
      const [next, now] = [claimsOf(successor), claimsOf(held?.access)];
      if (next?.sid === undefined || next.sid !== held?.sid || (now && !isNews(next, now))) return;
      // How long it is good follows from its parent: both dates are the service's own.
      const isKnown = now && due?.access === held.access;
      due = isKnown && due ? { access: successor, atMs: due.atMs + (next.exp - now.exp) * 1_000 } : undefined;
      write('access', successor);
      look('reissue');
    },
    saw: () => undefined,
    drop: (sid, why) => {
      look('other-tab');
      if (read()?.sid !== sid) return;
      ended = sid;
      clear();
      look(why);
    },
    hear: (change) => {
      if (change?.type === 'signed-out') ended = change.sessionId;
      look('other-tab');
    },
    proof: () => ({ refresh_token: read()?.refresh ?? '' }),
    wonder: () => undefined,
  };
}
