// The contract as one sequential program: what the service would answer if everything happened at one moment, in one place.
import type { Rules, Token } from '../chaos/history.js';
import {
  mintAccess,
  mintRefresh,
  type AccessClaims,
  type RefreshClaims,
  type Session,
  type TokenRules,
} from '../../../src/domain/tokens/claims.js';
import { reissue } from '../../../src/domain/tokens/successor.js';

interface User {
  id: string;
  name: string;
  scope: string;
  password: number;
  isEnabled: boolean;
  epoch: number;
}

interface Row extends Session {
  epoch: number;
  isEnded: boolean;
}

export interface ClaimsPair {
  access: AccessClaims;
  refresh: RefreshClaims;
}

export type RefreshAnswer = ClaimsPair | 'invalid_token' | 'refresh_superseded' | 'refresh_reused';

export type ReferenceService = ReturnType<typeof createReferenceService>;

/** Every `now` is in seconds since 1970. */
export function createReferenceService(rules: Rules) {
  const users = new Map<string, User>();
  const rows = new Map<string, Row>();
  const revoked = new Set<string>();
  let serviceEpoch = 0;
  let serial = 0;
  const tokenRules: TokenRules = {
    issuer: rules.issuer,
    audience: rules.audience,
    accessTtlSeconds: rules.accessTtl,
    reissueGraceSeconds: rules.grace,
    reissueMax: rules.reissueMax,
  };

  function uuid(): string {
    serial += 1;
    return `00000000-0000-7000-8000-${String(serial).padStart(12, '0')}`;
  }

  function userOf(name: string): User {
    const known = users.get(name);
    if (known !== undefined) return known;
    const scope = name === 'bob' ? 'read write' : '';
    const user = { id: uuid(), name, scope, password: 0, isEnabled: true, epoch: 0 };
    users.set(name, user);
    return user;
  }

  function epochOf(user: User): number {
    return user.epoch + serviceEpoch;
  }

  function stands(sid: string): boolean {
    const row = rows.get(sid);
    if (row === undefined || row.isEnded) return false;
    const user = userOf(row.username);
    return user.isEnabled && row.epoch === epochOf(user);
  }

  function isStanding({ sid, lineage }: Token): boolean {
    return stands(sid) && !revoked.has(lineage);
  }

  function pairOf(row: Row, now: number): ClaimsPair {
    const session = { ...row, now };
    return { access: mintAccess(session, tokenRules), refresh: mintRefresh(session, tokenRules) };
  }

  function end(sid: string): void {
    const row = rows.get(sid);
    if (row !== undefined) row.isEnded = true;
  }

  return {
    /** What a user was made with. */
    whoIs: (name: string): { sub: string; scope: string } => {
      const { id, scope } = userOf(name);
      return { sub: id, scope };
    },

    /** The first half of a login: what it has read, or null when it is refused. */
    authenticate: (name: string, password: number): number | null => {
      const user = userOf(name);
      return user.isEnabled && user.password === password ? epochOf(user) : null;
    },

    open: (name: string, epoch: number, now: number): ClaimsPair | null => {
      const user = userOf(name);
      if (!user.isEnabled || epochOf(user) !== epoch) return null;
      const expiresAt = Math.floor(now) + rules.sessionTtl;
      const row: Row = {
        id: uuid(),
        userId: user.id,
        username: name,
        scope: user.scope,
        ver: 0,
        generation: 0,
        openedAt: Math.floor(now),
        rotatedAt: now,
        refreshExpiresAt: Math.min(Math.floor(now) + rules.refreshTtl, expiresAt),
        expiresAt,
        now,
        epoch,
        isEnded: false,
      };
      rows.set(row.id, row);
      return pairOf(row, now);
    },

    refresh: ({ sid, generation, claims }: Token, now: number): RefreshAnswer => {
      const row = rows.get(sid);
      if (row === undefined || !stands(sid) || now >= row.expiresAt) return 'invalid_token';
      if (row.generation === generation) {
        if (now >= Number(claims['exp'])) return 'invalid_token';
        row.generation += 1;
        row.rotatedAt = now;
        row.refreshExpiresAt = Math.min(Math.floor(now) + rules.refreshTtl, row.expiresAt);
        return pairOf(row, now);
      }
      if (now > row.rotatedAt + rules.replayWindow) {
        row.isEnded = true;
        return 'refresh_reused';
      }
      return row.generation === generation + 1 ? pairOf(row, now) : 'refresh_superseded';
    },

    judge: (token: Token, now: number): { active: boolean; reissued: AccessClaims | null } => {
      if (token.type === 'refresh' || !isStanding(token)) return { active: false, reissued: null };
      const claims = token.claims as AccessClaims;
      return { active: now < claims.exp, reissued: reissue(claims, now, tokenRules) };
    },

    list: (token: Token, now: number): string[] => {
      const user = rows.get(token.sid)?.username;
      const own = [...rows.values()].filter((row) => row.username === user && row.expiresAt > now);
      return own.map(({ id }) => id).filter(stands);
    },

    end,

    revoke: (token: Token): void => {
      if (token.type === 'refresh') end(token.sid);
      else revoked.add(token.lineage);
    },

    endAll: ({ sid }: Token, exceptCurrent: boolean): void => {
      const row = rows.get(sid);
      if (row === undefined) return;
      userOf(row.username).epoch += 1;
      if (exceptCurrent) row.epoch += 1;
    },

    setPassword: (name: string, password: number): void => {
      const user = userOf(name);
      user.password = password;
      user.epoch += 1;
    },

    passwordOf: (name: string): number => userOf(name).password,

    /** Of a user who proves the password in force: all other sessions end. False where it is another one. */
    changePassword: ({ sid }: Token, proved: number, password: number): boolean => {
      const row = rows.get(sid);
      if (row === undefined) return false;
      const user = userOf(row.username);
      if (user.password !== proved) return false;
      user.password = password;
      user.epoch += 1;
      row.epoch += 1;
      return true;
    },

    disable: (name: string): void => {
      const user = userOf(name);
      user.isEnabled = false;
      user.epoch += 1;
    },

    enable: (name: string): void => {
      userOf(name).isEnabled = true;
    },

    retireKey: (): void => {
      serviceEpoch += 1;
    },
  };
}
