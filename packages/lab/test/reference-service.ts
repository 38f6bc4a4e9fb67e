// The contract as one sequential program: what the service would answer if everything happened at one moment, in one place.
import type { Row as WrittenRow, Rules, Said, Token } from '../chaos/history.js';
import { labelOf, rowIdOf } from '../chaos/subjects.js';
import type { ReferenceEvents } from './reference-events.js';
import { createReferenceOrders } from './reference-orders.js';
import type { AccessClaims, RefreshClaims, Session, TokenRules } from '../../../src/domain/tokens/claims.js';
import { mintAccess, mintRefresh } from '../../../src/domain/tokens/minting.js';
import { readClaims, writeClaims, type SessionClaims } from '../../../src/domain/tokens/session-claims.js';
import { reissue } from '../../../src/domain/tokens/successor.js';

/** The row of the service, in seconds since 1970. */
interface BeatRow {
  beatenAt: number;
  answeringSince: number | null;
  answeredUntil: number | null;
}

/** A user as a backend names one: a client, and what that calls the user. */
export type Subject = readonly [backend: string, externalId: string];

/** What a wrong service makes of an outage. */
export type Mistake = 'ignores-outages' | 'opens-what-had-run-out' | 'knows-in-an-outage';

/** A longer silence is an outage. */
const LONGEST_SILENCE = 5;

interface User {
  id: string;
  name: string;
  firstScope: string;
  scope: string;
  ver: number;
  password: number;
  isEnabled: boolean;
  epoch: number;
  /** Nobody yet, or no more. */
  isThere: boolean;
}

/** Whom nobody has to add. */
export const FIRST_USERS = ['ann', 'bob'];

/** Who ends a session, and why. */
interface Ending {
  actor: string;
  reason: 'logout' | 'session_ended' | 'revoked';
}

export interface Row extends Session {
  epoch: number;
  openedMs: number;
  /** Who opened it. */
  client: number;
  isEnded: boolean;
  /** When a new password put another session in its place, which one, and under which epoch of the service. */
  replaced?: { at: number; by: string; under: number };
}

export interface ClaimsPair {
  access: AccessClaims;
  refresh: RefreshClaims;
}

export type ChangeAnswer = ClaimsPair | 'invalid_token' | 'invalid_credentials';

export type RefreshAnswer = ClaimsPair | 'invalid_token' | 'refresh_superseded' | 'refresh_reused';

export type ReferenceService = ReturnType<typeof createReferenceService>;

/** Every `now` is in seconds since 1970. A service that nobody lets beat knows of no outage. */
export function createReferenceService(rules: Rules, events: ReferenceEvents, mistake?: Mistake) {
  const users = new Map<string, User>();
  const rows = new Map<string, Row>();
  const revoked = new Set<string>();
  const orders = createReferenceOrders({
    rows,
    revoked,
    standsButForRows,
    isThere: (name) => userOf(name).isThere,
    raise: (name) => (userOf(name).epoch += 1),
    raiseAll: () => (serviceEpoch += 1),
    events,
  });
  let serviceEpoch = 0;
  let beat: BeatRow = { beatenAt: Infinity, answeringSince: null, answeredUntil: null };
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
    const user = {
      // No other name has a space.
      id: name.includes(' ') ? rowIdOf(name) : uuid(),
      name,
      firstScope: scope,
      scope,
      ver: 0,
      password: 0,
      isEnabled: true,
      epoch: 0,
      isThere: FIRST_USERS.includes(name),
    };
    users.set(name, user);
    return user;
  }

  function epochOf(user: User): number {
    return user.epoch + serviceEpoch;
  }

  function standsButForRows(sid: string): boolean {
    const row = rows.get(sid);
    if (row === undefined || row.isEnded || row.openedMs < orders.notBefore()) return false;
    const user = userOf(row.username);
    return user.isEnabled && row.epoch === epochOf(user);
  }

  function stands(sid: string): boolean {
    return standsButForRows(sid) && !orders.isHeld(sid);
  }

  function isStanding({ sid, lineage, claims }: Token): boolean {
    const ver = Number(claims['ver'] ?? 0);
    const row = rows.get(sid);
    return (
      row !== undefined &&
      stands(sid) &&
      !revoked.has(lineage) &&
      !orders.isHeld(lineage) &&
      userOf(row.username).ver + row.ver === ver
    );
  }

  function sessionOf(row: Row, now: number): Session {
    const { scope, ver } = userOf(row.username);
    return { ...row, scope, ver: ver + row.ver, now };
  }

  function pairOf(row: Row, now: number): ClaimsPair {
    const session = sessionOf(row, now);
    return { access: mintAccess(session, tokenRules), refresh: mintRefresh(session, tokenRules) };
  }

  function windowEnds(beganAt: number): number {
    const { answeringSince: since, answeredUntil: until } = beat;
    const wasOpen =
      until !== null && (beganAt + rules.replayWindow > until || mistake === 'opens-what-had-run-out');
    const isCutOff = wasOpen && since !== null && beganAt <= since && mistake !== 'ignores-outages';
    return (isCutOff ? since : beganAt) + rules.replayWindow;
  }

  function isAnswering(now: number): boolean {
    return beat.beatenAt >= now - LONGEST_SILENCE || mistake === 'knows-in-an-outage';
  }

  function addRow(user: User, epoch: number, now: number, expiresAt: number, client: number): Row {
    const openedMs = Math.floor(now * 1000);
    const row: Row = {
      id: `${openedMs.toString(16).padStart(12, '0').replace(/^.{8}/, '$&-')}-7000-${uuid().slice(-17)}`,
      openedMs,
      client,
      userId: user.id,
      username: user.name,
      scope: user.scope,
      clientId: null,
      externalId: null,
      claims: null,
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
    return row;
  }

  /** The session in the place of another, while its token can repeat the change of password. */
  function findReplacement(row: Row, { sid, lineage, claims }: Token, now: number): Row | undefined {
    const user = userOf(row.username);
    if (orders.isHeld(sid) || orders.isHeld(lineage) || user.ver !== Number(claims['ver'] ?? 0))
      return undefined;
    if (row.openedMs < orders.notBefore()) return undefined;
    const { at = -Infinity, by = '' } = row.replaced ?? {};
    const isAlive = user.isEnabled && !row.isEnded && !revoked.has(lineage) && now < Number(claims['exp']);
    const isRecent = (now <= windowEnds(at) || !isAnswering(now)) && epochOf(user) === row.epoch + 1;
    return isAlive && isRecent ? rows.get(by) : undefined;
  }

  /** What had ended for good before, by an epoch or by itself, is told of no more; what an operator holds is. */
  function end(sid: string, now: number, { actor, reason }: Ending): void {
    const row = rows.get(sid);
    if (row === undefined) return;
    if (row.expiresAt > now && standsButForRows(sid))
      events.write('session.ended', { actor, reason, userId: row.userId, sessionId: sid });
    row.isEnded = true;
  }

  const actorOf = ({ userId }: Row) => `user:${userId}`;

  return {
    /** What a user was made with. */
    whoIs: (name: string): { sub: string; scope: string } => {
      const { id, firstScope } = userOf(name);
      return { sub: id, scope: firstScope };
    },

    openFor: ([backend, externalId]: Subject, said: Said, now: number, client: number): ClaimsPair => {
      const user = userOf(labelOf(backend, externalId));
      user.isThere = true;
      const row = addRow(user, epochOf(user), now, Math.floor(now) + rules.sessionTtl, client);
      const claims = writeClaims({ audience: [rules.audience], ...wordsOf(said) });
      Object.assign(row, { clientId: backend, externalId, claims });
      events.write('session.opened', { actor: `client:${backend}`, userId: user.id, sessionId: row.id });
      return pairOf(row, now);
    },

    /** Whether there is a session of the client that stands. */
    change: (backend: string, sid: string, said: Said, now: number): boolean => {
      const row = rows.get(sid);
      if (row?.clientId !== backend || row.claims === null || row.expiresAt <= now || !stands(sid))
        return false;
      const claims = writeClaims({ ...readClaims(row.claims), ...wordsOf(said) });
      if (claims !== row.claims) {
        row.ver += 1;
        events.write('session.changed', { actor: `client:${backend}`, userId: row.userId, sessionId: sid });
      }
      row.claims = claims;
      return true;
    },

    /** Whether there is a session of the client, ended or not. */
    endFor: (backend: string, sid: string, now: number): boolean => {
      if (rows.get(sid)?.clientId !== backend) return false;
      end(sid, now, { actor: `client:${backend}`, reason: 'session_ended' });
      return true;
    },

    endAllFor: ([backend, externalId]: Subject): void => {
      const user = userOf(labelOf(backend, externalId));
      if (!user.isThere) return;
      user.epoch += 1;
      events.write('session.ended', {
        actor: `client:${backend}`,
        reason: 'logout_all',
        userId: user.id,
      });
    },

    /** Of a user who has logged in. */
    reauthenticate: (
      token: Token,
      proved: number,
      now: number,
    ): AccessClaims | 'invalid_token' | 'invalid_credentials' => {
      const row = rows.get(token.sid);
      if (row === undefined || !isStanding(token) || now >= Number(token.claims['exp']))
        return 'invalid_token';
      if (userOf(row.username).password !== proved) return 'invalid_credentials';
      return mintAccess(sessionOf(row, now), tokenRules, Math.floor(now));
    },

    /** The first half of a login: what it has read, or null when it is refused. */
    authenticate: (name: string, password: number): number | null => {
      const user = userOf(name);
      return user.isThere && user.isEnabled && user.password === password ? epochOf(user) : null;
    },

    /** Of a login that is refused. */
    tellFailure: (): void => events.write('login', { outcome: 'invalid_credentials', actor: 'gatehouse' }),

    open: (name: string, epoch: number, now: number, client: number): ClaimsPair | null => {
      const user = userOf(name);
      if (!user.isEnabled || epochOf(user) !== epoch) return null;
      const row = addRow(user, epoch, now, Math.floor(now) + rules.sessionTtl, client);
      events.write('session.opened', { actor: actorOf(row), userId: user.id, sessionId: row.id });
      return pairOf(row, now);
    },

    refresh: ({ sid, generation, claims }: Token, now: number): RefreshAnswer => {
      const row = rows.get(sid);
      if (row === undefined || now >= row.expiresAt) return 'invalid_token';
      const { at = -Infinity, under } = row.replaced ?? {};
      if ((now <= windowEnds(at) || !isAnswering(now)) && under === serviceEpoch) return 'refresh_superseded';
      if (!standsButForRows(sid)) return 'invalid_token';
      const isTheft = row.generation > generation && now > windowEnds(row.rotatedAt) && isAnswering(now);
      if (orders.isHeld(sid) && !isTheft) return 'invalid_token';
      if (row.generation === generation) {
        if (now >= Number(claims['exp'])) return 'invalid_token';
        row.generation += 1;
        row.rotatedAt = now;
        row.refreshExpiresAt = Math.min(Math.floor(now) + rules.refreshTtl, row.expiresAt);
        return pairOf(row, now);
      }
      const isLate = now > windowEnds(row.rotatedAt);
      if (isLate && isAnswering(now)) {
        row.isEnded = true;
        events.write('session.reused', {
          outcome: 'refresh_reused',
          actor: 'gatehouse',
          userId: row.userId,
          sessionId: sid,
        });
        return 'refresh_reused';
      }
      return row.generation === generation + 1 && !isLate ? pairOf(row, now) : 'refresh_superseded';
    },

    /** That it answers at this time becomes visible. */
    beat: (at: number): Readonly<BeatRow> => {
      const { beatenAt, answeringSince, answeredUntil } = beat;
      const isGap = beatenAt < at - LONGEST_SILENCE;
      const followsAnother = answeringSince !== null && beatenAt < answeringSince + rules.replayWindow;
      beat = {
        beatenAt: at,
        answeringSince: isGap ? at : answeringSince,
        answeredUntil: isGap && !followsAnother ? beatenAt : answeredUntil,
      };
      return beat;
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

    revoke: ({ type, sid, lineage }: Token, now: number, actor: string): void => {
      if (type === 'refresh') {
        end(sid, now, { actor, reason: 'revoked' });
        return;
      }
      const row = rows.get(sid);
      if (row !== undefined && row.expiresAt > now && standsButForRows(sid) && !revoked.has(lineage))
        events.write('token.revoked', {
          actor,
          reason: 'revoked',
          userId: row.userId,
          sessionId: sid,
          detail: { lineage },
        });
      revoked.add(lineage);
    },

    endAll: ({ sid }: Token, exceptCurrent: boolean): void => {
      const row = rows.get(sid);
      if (row === undefined) return;
      const about = { actor: actorOf(row), userId: row.userId, sessionId: sid };
      events.write('session.ended', { ...about, reason: 'logout_all' });
      userOf(row.username).epoch += 1;
      if (exceptCurrent) row.epoch += 1;
    },

    setPassword: (name: string, password: number): void => {
      const user = userOf(name);
      user.password = password;
      user.epoch += 1;
      events.write('password.changed', { userId: user.id });
    },

    passwordOf: (name: string): number => userOf(name).password,

    /** Of a user who proves the password in force: all sessions end, and another opens. Who repeats it gets that one again. */
    changePassword: (
      token: Token,
      [proved, password]: readonly [number, number],
      now: number,
      client: number,
    ): ChangeAnswer => {
      const row = rows.get(token.sid);
      if (row === undefined || token.type === 'refresh' || now >= row.expiresAt) return 'invalid_token';
      const user = userOf(row.username);
      const replacement = findReplacement(row, token, now);
      if (replacement !== undefined) {
        if (user.password !== password) return 'invalid_credentials';
        return stands(replacement.id) ? pairOf(replacement, now) : 'invalid_token';
      }
      if (!isStanding(token) || now >= Number(token.claims['exp'])) return 'invalid_token';
      if (user.password !== proved) return 'invalid_credentials';
      user.password = password;
      user.epoch += 1;
      const opened = addRow(user, epochOf(user), now, row.expiresAt, client);
      row.replaced = { at: now, by: opened.id, under: serviceEpoch };
      const about = { actor: actorOf(row), userId: user.id, sessionId: opened.id };
      events.write('password.changed', about);
      return pairOf(opened, now);
    },

    disable: (name: string): void => {
      const user = userOf(name);
      if (user.isEnabled) events.write('user.disabled', { userId: user.id });
      user.isEnabled = false;
      user.epoch += 1;
    },

    enable: (name: string): void => {
      const user = userOf(name);
      if (!user.isEnabled) events.write('user.enabled', { userId: user.id });
      user.isEnabled = true;
    },

    isThere: (name: string): boolean => userOf(name).isThere,

    setScope: (name: string, scope: string, actor: string): void => {
      const user = userOf(name);
      if (user.scope !== scope) {
        user.ver += 1;
        events.write('user.changed', { actor, userId: user.id });
      }
      user.scope = scope;
    },

    add: (name: string, actor: string): void => {
      const user = userOf(name);
      user.isThere = true;
      events.write('user.added', { actor, userId: user.id });
    },

    remove: (name: string, actor: string): void => {
      const user = userOf(name);
      if (!user.isThere) return;
      Object.assign(user, { isThere: false, isEnabled: false, epoch: user.epoch + 1 });
      events.write('user.deleted', { actor, userId: user.id });
    },

    /** The sessions that are kept of a user. */
    exportOf: (name: string): string[] | null =>
      userOf(name).isThere
        ? [...rows.values()].filter(({ username }) => username === name).map(({ id }) => id)
        : null,

    order: orders.order,
    rowsOf: (ending: string): WrittenRow[] => orders.rowsOf(ending),
    lift: orders.lift,

    retireKey: (): void => {
      serviceEpoch += 1;
      events.write('key.retired');
    },
  };
}

/** As they are kept: nothing is said of what is null. */
function wordsOf(said: Said): Partial<SessionClaims> {
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name, value ?? undefined]));
}
