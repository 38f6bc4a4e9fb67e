// Short histories, told line by line: who asked what when, and what was answered; tokens are minted as the service does.
import { check } from '../chaos/checker.js';
import {
  createRecorder,
  type Beat,
  type History,
  type NotedEvent,
  type Operation,
  type Rules,
  type Said,
  type Token,
} from '../chaos/history.js';
import type { AccessClaims, RefreshClaims, Session, TokenRules } from '../../../src/domain/tokens/claims.js';
import { mintAccess, mintRefresh } from '../../../src/domain/tokens/minting.js';
import { writeClaims } from '../../../src/domain/tokens/session-claims.js';
import { reissue } from '../../../src/domain/tokens/successor.js';
import { labelOf, rowIdOf } from '../chaos/subjects.js';

export const RULES: Rules = {
  accessTtl: 30,
  refreshTtl: 25,
  sessionTtl: 60,
  grace: 5,
  reissueMax: 3,
  replayWindow: 10,
  issuer: 'http://gatehouse.test',
  audience: 'gatehouse',
};

/** A whole second, so that second 0 of a token is millisecond 0 of a story. */
export const EPOCH_MS = 1_800_000_000_000;

export const TOLERANCE_MS = 2;

/** What all backends of stories call their user. */
const EXTERNAL_ID = '1';

/** A moment is a request of ten milliseconds that begins then. */
export type When = number | readonly [start: number, end: number];

export type Members = Partial<Omit<Operation, 'id' | 'kind' | 'start' | 'end'>>;

export interface Pair {
  sid: string;
  user: string;
  scope: string;
  /** How often the claims of the user, or of the session, were changed; never unless given. */
  ver?: number;
  /** Of a backend's session: its client, and what that says of it. */
  backend?: string;
  said?: Said;
  access: Token;
  refresh: Token;
}

function tokenRulesOf({ issuer, audience, accessTtl, grace, reissueMax }: Rules): TokenRules {
  return { issuer, audience, accessTtlSeconds: accessTtl, reissueGraceSeconds: grace, reissueMax };
}

/** Of a session that is opened at a time of the story: a UUIDv7. */
function idOfSession(openedMs: number, number: number): string {
  const time = (EPOCH_MS + Math.floor(openedMs)).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(number).padStart(12, '0')}`;
}

function uuid(number: number): string {
  return `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
}

export type Story = ReturnType<typeof tellStory>;

/** @param own rules that differ from those of most stories */
export function tellStory(own: Partial<Rules> = {}) {
  const rules = { ...RULES, ...own };
  const tokenRules = tokenRulesOf(rules);
  const userIds = new Map<string, string>();
  const recorder = createRecorder({ seed: 1, rules });
  const tokens: Token[] = [];
  const operations: Operation[] = [];
  const beats: Beat[] = [];
  let events: NotedEvent[] | null = null;
  let sessions = 0;

  function tokenOf(
    claims: object,
    typ: 'at+jwt' | 'rt+jwt',
    { alg = 'EdDSA', signature = 'signature' } = {},
  ): Token {
    const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = recorder.token(`${segment({ alg, typ })}.${segment(claims)}.${signature}`);
    tokens[token.id] = token;
    return token;
  }

  function ask(kind: string, when: When, members: Members = {}): Operation {
    const [start, end] = typeof when === 'number' ? [when, when + 10] : when;
    const operation: Operation = {
      id: operations.length,
      mark: operations.length,
      kind,
      replica: 'one',
      client: 1,
      outcome: 'ok',
      status: null,
      error: null,
      ...members,
      start,
      end,
    };
    operations.push(operation);
    return operation;
  }

  function history(): History {
    return {
      seed: 1,
      rules,
      epochMs: EPOCH_MS,
      toleranceMs: TOLERANCE_MS,
      tokens,
      beats,
      events,
      operations: operations.toSorted((a, b) => a.end - b.end),
    };
  }

  function idOf(user: string): string {
    const id = userIds.get(user) ?? uuid(999_000 + userIds.size);
    userIds.set(user, id);
    return id;
  }

  /** A row of the table of sessions at a time of the story. */
  function rowOf(pair: Omit<Pair, 'access' | 'refresh'>, openedMs: number, nowMs: number): Session {
    const secondsAt = (ms: number) => (EPOCH_MS + ms) / 1000;
    const expiresAt = Math.floor(secondsAt(openedMs)) + rules.sessionTtl;
    const { backend, said = {} } = pair;
    const words = Object.fromEntries(Object.entries(said).map(([name, value]) => [name, value ?? undefined]));
    return {
      id: pair.sid,
      userId: backend === undefined ? idOf(pair.user) : rowIdOf(pair.user),
      username: pair.user,
      scope: pair.scope,
      clientId: backend ?? null,
      externalId: backend === undefined ? null : EXTERNAL_ID,
      claims: backend === undefined ? null : writeClaims({ audience: [rules.audience], ...words }),
      ver: pair.ver ?? 0,
      generation: 0,
      openedAt: Math.floor(secondsAt(openedMs)),
      rotatedAt: secondsAt(nowMs),
      refreshExpiresAt: Math.min(Math.floor(secondsAt(nowMs)) + rules.refreshTtl, expiresAt),
      expiresAt,
      now: secondsAt(nowMs),
    };
  }

  function midOf(when: When): number {
    return typeof when === 'number' ? when + 5 : (when[0] + when[1]) / 2;
  }

  return {
    ask,
    history,
    tokenOf,
    check: () => check(history()),
    /** Each violation as its letter and the id of the wrong answer. */
    violations: () => check(history()).violations.map(({ rule, operations: [id] }) => `${rule}${id ?? ''}`),

    /** A login that is answered, decided in the middle of its bracket. */
    logIn: (when: When, members: Members = {}): Pair & { operation: Operation } => {
      sessions += 1;
      const { user = 'ann', scope = '' } = members;
      const row = rowOf({ sid: idOfSession(midOf(when), sessions), user, scope }, midOf(when), midOf(when));
      const access = tokenOf(mintAccess(row, tokenRules), 'at+jwt');
      const refresh = tokenOf(mintRefresh(row, tokenRules), 'rt+jwt');
      const pair = { sid: row.id, user, scope, access, refresh };
      const operation = ask('login', when, {
        password: 0,
        honest: true,
        ...members,
        user,
        sub: row.userId,
        sid: row.id,
        access: access.id,
        refresh: refresh.id,
      });
      return { ...pair, operation };
    },

    /** A session that a backend opens. */
    openFor: (when: When, backend: string, said: Said): Pair & { operation: Operation } => {
      sessions += 1;
      const user = labelOf(backend, EXTERNAL_ID);
      const sid = idOfSession(midOf(when), sessions);
      const row = rowOf({ sid, user, scope: '', backend, said }, midOf(when), midOf(when));
      const access = tokenOf(mintAccess(row, tokenRules), 'at+jwt');
      const refresh = tokenOf(mintRefresh(row, tokenRules), 'rt+jwt');
      const operation = ask('open', when, {
        backend,
        actor: `client:${backend}`,
        user,
        username: EXTERNAL_ID,
        sub: EXTERNAL_ID,
        said: { scope: null, ext: null, amr: null, acr: null, auth_time: null, ...said },
        honest: true,
        sid,
        access: access.id,
        refresh: refresh.id,
      });
      return { sid, user, scope: '', backend, said, access, refresh, operation };
    },

    /** What a backend's session is minted from after a change. */
    saidAfter: ({ said, ver = 0 }: Pair, change: Said) => ({ said: { ...said, ...change }, ver: ver + 1 }),

    /** The password once more, in the middle of its bracket. */
    confirm: (pair: Pair, when: When, members: Members = {}): Pair & { operation: Operation } => {
      const openedMs = Number(pair.refresh.claims['auth_time']) * 1000 - EPOCH_MS;
      const row = rowOf(pair, openedMs, midOf(when));
      const access = tokenOf(mintAccess(row, tokenRules, Math.floor(row.now)), 'at+jwt');
      const asked = { token: pair.access.id, user: pair.user, proved: 0 };
      const operation = ask('reauthenticate', when, { ...asked, ...members, access: access.id });
      return { ...pair, access, operation };
    },

    /** A refresh that is answered, with a rotation in the middle of its bracket unless told otherwise. */
    refresh: (pair: Pair, when: When, rotatedMs = midOf(when)): Pair & { operation: Operation } => {
      const parent = pair.refresh.claims as RefreshClaims;
      const row = {
        ...rowOf(pair, parent.auth_time * 1000 - EPOCH_MS, rotatedMs),
        generation: pair.refresh.generation + 1,
      };
      const access = tokenOf(
        mintAccess({ ...row, now: (EPOCH_MS + midOf(when)) / 1000 }, tokenRules),
        'at+jwt',
      );
      const refresh = tokenOf(mintRefresh(row, tokenRules), 'rt+jwt');
      const operation = ask('refresh', when, {
        token: pair.refresh.id,
        access: access.id,
        refresh: refresh.id,
      });
      return { ...pair, access, refresh, operation };
    },

    /** A request that a refresh token does not survive, or an access token. */
    refuse: (kind: string, token: Token, when: When, error = 'invalid_token', members: Members = {}) =>
      ask(kind, when, { token: token.id, outcome: 'refused', status: 401, error, ...members }),

    introspect: (token: Token, when: When, active: boolean, reissued: Token | null = null) =>
      ask('introspect', when, { token: token.id, active, reissued: reissued?.id ?? null }),

    /** What the token is reissued as at that time of the story. */
    successorOf: (token: Token, ms: number): Token => {
      const claims = reissue(token.claims as AccessClaims, (EPOCH_MS + ms) / 1000, tokenRules);
      if (claims === null) throw new Error('it has no successor then');
      return tokenOf(claims, 'at+jwt');
    },

    /** A list for the holder of a session, which is called current where it is listed unless told otherwise. */
    list: ({ sid, access }: Pair, when: When, sids: string[], current = sids.filter((one) => one === sid)) =>
      ask('list', when, { token: access.id, sids, current, reissued: null }),

    /**
     * A new password that is answered with a session in the place of the one that asks, made in the middle of its bracket.
     *
     * @param earlier whose session a repetition gets again
     */
    renew: (
      asking: Pair,
      when: When,
      [proved, password]: readonly [number, number],
      earlier?: Pair,
      members: Members = {},
    ): Pair & { operation: Operation } => {
      if (earlier === undefined) sessions += 1;
      const whose = {
        sid: earlier?.sid ?? idOfSession(midOf(when), sessions),
        user: asking.user,
        scope: asking.scope,
      };
      const expiresAt = Number(asking.access.claims['session_exp']);
      const made = rowOf(whose, midOf(when), midOf(when));
      const openedAt = earlier === undefined ? made.openedAt : Number(earlier.refresh.claims['auth_time']);
      const row = {
        ...made,
        openedAt,
        expiresAt,
        refreshExpiresAt: Math.min(made.refreshExpiresAt, expiresAt),
      };
      const access = tokenOf(mintAccess(row, tokenRules), 'at+jwt');
      const refresh = earlier?.refresh ?? tokenOf(mintRefresh(row, tokenRules), 'rt+jwt');
      const operation = ask('password', when, {
        token: asking.access.id,
        user: asking.user,
        sub: row.userId,
        scope: asking.scope,
        proved,
        password,
        honest: true,
        access: access.id,
        refresh: refresh.id,
        ...members,
      });
      return { ...whose, access, refresh, operation };
    },

    /** Events are read, and this one is among them: by the request of an operation unless told otherwise. */
    tell: (operation: Operation | null, type: string, members: Partial<NotedEvent> = {}): NotedEvent => {
      const event = {
        id: `event-${events?.length ?? 0}`,
        mark: operation?.mark ?? null,
        type,
        outcome: 'ok',
        actor: null,
        userId: null,
        sessionId: null,
        reason: null,
        detail: null,
        ...members,
      };
      events = [...(events ?? []), event];
      return event;
    },

    changePassword: (
      { user, access }: Pair,
      when: When,
      proved: number,
      password: number,
      members: Members = {},
    ) => ask('password', when, { token: access.id, user, proved, password, ...members }),

    /**
     * Beats each second, each visible within milliseconds.
     *
     * @param gap the outage that they tell of
     */
    beat: (from: number, to: number, gap?: { since: number; until: number }) => {
      for (let at = from; at <= to; at += 1000)
        beats.push({ notedAt: at + 1, at, since: gap?.since ?? null, until: gap?.until ?? null });
    },

    /** There was no database. */
    away: (when: When) =>
      ask('fault', when, { name: 'no-database', target: 'postgres', replica: 'operator', isAway: true }),

    kill: (when: When, target = 'postgres') => ask('fault', when, { name: 'kill', target, isKill: true }),
  };
}
