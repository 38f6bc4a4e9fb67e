// @ts-check
// Which event each operation of a history is owed, or may have left (docs/events.md).
import { isDeepStrictEqual } from 'node:util';

import { rowIdOf, userIdOf } from '../subjects.js';
import { latestEffect } from './deadlines.js';
import { tagOf } from './endings.js';
import { groupBy } from './group.js';
import { isOwnChange } from './replacements.js';
import { isOfAnother } from './said.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */

/**
 * What an event has to say; what is undefined may be anything.
 *
 * @typedef {object} Told
 * @property {string} type
 * @property {string | undefined=} actor
 * @property {string=} outcome `ok` unless given
 * @property {string | null | undefined=} userId
 * @property {string | null | undefined=} sessionId
 * @property {string[] | undefined=} sessionIds one of them, or none
 * @property {string=} reason
 * @property {Record<string, unknown>=} detail some of its members
 */

/**
 * @typedef {object} Expected
 * @property {string} what it is, for the counts
 * @property {Told[]} allowed
 * @property {boolean} isOwed whether there is an event for certain
 * @property {boolean=} isRepetition whether there is none for certain
 * @property {(Operation | null)=} because what has done it before
 * @property {number=} most events; one unless given
 * @property {string=} thing what is done once, by whichever of those who ask for it
 * @property {boolean=} isCertain whether an answer says that the thing is done by one of those
 */

/**
 * Of one user, in the order of their ends.
 *
 * @typedef {object} States
 * @property {string} what
 * @property {string | undefined} initial
 * @property {{ operation: Operation, state: string }[]} requests that were not refused
 */

/** @typedef {(operation: Operation, world: World, isOk: boolean) => Expected | null} Expecting */

/** What may be refused, and is told of all the same. @type {Record<string, string>} */
const TOLD_OF_REFUSALS = { login: 'invalid_credentials', refresh: 'refresh_reused' };

/** @type {Record<string, Expecting>} */
const EXPECTING = {
  login: ofLogin,
  refresh: ofRefresh,
  logout: (operation, world, isOk) => {
    const { session, actor } = ownerOf(operation, world);
    return ofSession(operation, session, world, isOk, { actor, reason: 'logout' });
  },
  'end-session': (operation, world, isOk) => {
    const { session, actor } = ownerOf(operation, world);
    const target = world.sessions.get(operation.sid ?? '');
    const isOwn = target !== undefined && target.login !== null && target.user === session.user;
    if (isOwn) return ofSession(operation, target, world, isOk, { actor, reason: 'session_ended' });
    const told = { type: 'session.ended', actor, sessionId: operation.sid, reason: 'session_ended' };
    return { what: 'ends', allowed: [told], isOwed: false };
  },
  revoke: ofRevocation,
  'logout-all': (operation, world, isOwed) => {
    const { actor, userId, sessionId } = ownerOf(operation, world);
    const allowed = [{ type: 'session.ended', actor, userId, sessionId, reason: 'logout_all' }];
    return { what: 'ends of all', allowed, isOwed };
  },
  password: (operation, world, isOwed) => {
    if (isOwnChange(operation)) return ofOwnChange(operation, world, isOwed);
    const allowed = [{ type: 'password.changed', userId: operation.sub }];
    return { what: 'ends of all', allowed, isOwed };
  },
  disable: ({ sub: userId }) => ofState('user.disabled', { userId }),
  enable: ({ sub: userId }) => ofState('user.enabled', { userId }),
  scope: ({ sub: userId, actor }) => ofState('user.changed', { userId, actor }),
  'retire-key': (operation, _world, isOk) => ofKey('key.retired', operation, isOk),
  'rotate-key': (operation, _world, isOk) => ofKey('key.rotated', operation, isOk),
  order: ofOrder,
  lift: ({ actor, row = null, rowKind, target = null }) => ({
    what: 'lifts',
    allowed: [
      {
        type: 'revocation.lifted',
        actor,
        sessionId: rowKind === 'session' ? target : null,
        detail: { revocation_id: row },
      },
    ],
    isOwed: false,
    thing: `lift ${row}`,
    isCertain: true,
  }),
  delete: ({ actor, user, sub: userId }) => ({
    what: 'deletions',
    allowed: [{ type: 'user.deleted', actor, userId }],
    isOwed: false,
    thing: `deletion ${user}`,
    isCertain: true,
  }),
  open: (operation, { tokenOf }, isOwed) => {
    const sessionId = isOwed ? tokenOf(operation.access).sid : undefined;
    return {
      what: 'openings by clients',
      allowed: [
        { type: 'session.opened', actor: operation.actor, userId: rowIdOf(operation.user ?? ''), sessionId },
      ],
      isOwed,
    };
  },
  change: ofChange,
  'client-end': (operation, world, isOk) => {
    const { actor, sid } = operation;
    const target = world.sessions.get(sid ?? '');
    const how = /** @type {const} */ ({ actor, reason: 'session_ended' });
    if (target === undefined || isOfAnother(operation, target)) return null;
    return { ...ofSession(operation, target, world, isOk, how), what: 'ends by clients' };
  },
  'client-end-all': ({ actor, user = '', start }, { operations }, isOk) => ({
    what: 'ends of all by clients',
    allowed: [{ type: 'session.ended', actor, userId: rowIdOf(user), sessionId: null, reason: 'logout_all' }],
    // Of a user whom the client has not brought yet nothing is written.
    isOwed:
      isOk &&
      operations.some(
        (other) =>
          other.kind === 'open' && other.outcome === 'ok' && other.user === user && other.end < start,
      ),
  }),
  'add-user': ({ actor, sub: userId }, _world, isOwed) => ({
    what: 'additions',
    allowed: [{ type: 'user.added', actor, userId }],
    isOwed,
  }),
};

/** @param {Operation} operation @param {World} world @returns {Expected | null} null where no event is written */
export function expectedOf(operation, world) {
  const { kind, outcome, error, isDryRun } = operation;
  const isTold = outcome !== 'refused' || (error !== null && TOLD_OF_REFUSALS[kind] === error);
  if (!isTold || isDryRun === true) return null;
  return EXPECTING[kind]?.(operation, world, outcome === 'ok') ?? null;
}

/** Users who are let in or not, and their scopes. @param {World} world @returns {States[]} */
export function findStates({ operations }) {
  const done = operations.filter(({ outcome }) => outcome !== 'refused');
  /** @param {string[]} kinds @param {(operation: Operation) => string} stateOf */
  const ofUsers = (kinds, stateOf) => {
    const own = done.filter(({ kind }) => kinds.includes(kind));
    const requests = own.map((operation) => ({ operation, state: stateOf(operation) }));
    return [...groupBy(requests, ({ operation }) => operation.user ?? '').values()];
  };
  return [
    ...ofUsers(['disable', 'enable'], ({ kind }) => kind).map((requests) => ({
      what: 'disabling and enabling',
      initial: 'enable',
      requests,
    })),
    ...ofUsers(['scope'], ({ scope = '' }) => `scope ${scope}`).map((requests) => ({
      what: 'scopes',
      initial: undefined,
      requests,
    })),
  ];
}

/** Whose token asks. @param {Operation} operation @param {World} world */
function ownerOf({ token: id }, { tokenOf, sessionOf }) {
  const token = tokenOf(id);
  const userId = userIdOf(token.claims);
  return { token, session: sessionOf(token), userId, sessionId: token.sid, actor: `user:${userId}` };
}

/** @type {Expecting} */
function ofLogin({ outcome, sub, access, error }, { tokenOf }, isOk) {
  const failed = { type: 'login', outcome: 'invalid_credentials', actor: 'gatehouse' };
  // Written after the verdict, where it can be: it explains itself, and is owed to nobody.
  if (error === 'invalid_credentials') return { what: 'failed logins', allowed: [failed], isOwed: false };
  const { claims = /** @type {Record<string, unknown>} */ ({}), sid = undefined } = isOk
    ? tokenOf(access)
    : {};
  const userId = isOk ? String(claims['sub']) : sub;
  const opened = {
    type: 'session.opened',
    actor: userId === undefined ? undefined : `user:${userId}`,
    userId,
    sessionId: sid,
  };
  return {
    what: 'openings',
    allowed: outcome === 'unknown' ? [opened, failed] : [opened],
    isOwed: isOk,
  };
}

/** Theft alone is told of. @type {Expecting} */
function ofRefresh(operation, world, isOk) {
  if (isOk) return null;
  const { userId, sessionId } = ownerOf(operation, world);
  const told = { type: 'session.reused', actor: 'gatehouse', outcome: 'refresh_reused', userId, sessionId };
  return { what: 'thefts', allowed: [told], isOwed: operation.outcome === 'refused' };
}

/**
 * One session ends for good: it is told of unless something else may have ended it before, and not where something else surely has.
 *
 * @param {Operation} operation
 * @param {Session} session
 * @param {World} world
 * @param {boolean} isOk
 * @param {Pick<Told, 'actor' | 'reason'>} how
 * @returns {Expected}
 */
function ofSession(operation, session, world, isOk, how) {
  const { ended, expiresAt, login, sid: sessionId } = session;
  const userId = login?.backend === undefined ? login?.sub : rowIdOf(login.user ?? '');
  const mayBeGone =
    world.mayHaveEndedOtherwise(session, operation) || world.clock.isPossiblyPast(expiresAt, operation);
  const isRepetition = ended !== null && ended !== operation && ended.end < operation.start;
  return {
    what: 'ends',
    allowed: [{ type: 'session.ended', userId, sessionId, ...how }],
    isOwed: isOk && !mayBeGone,
    isRepetition,
    because: ended,
    thing: `end of session ${sessionId}`,
  };
}

/** @type {Expecting} */
function ofRevocation(operation, world, isOk) {
  const { token, session, userId, sessionId } = ownerOf(operation, world);
  const { actor } = operation;
  if (token.type === 'refresh')
    return ofSession(operation, session, world, isOk, { actor, reason: 'revoked' });
  const { clock, mayHaveEndedOtherwise, lineageOf } = world;
  const ended = lineageOf(token)?.ended ?? null;
  const isRepetition = ended !== null && ended !== operation && ended.end < operation.start;
  const mayBeGone =
    lineageOf(token)?.finals?.mayLieBetween(-Infinity, operation.end, tagOf(operation)) === true ||
    mayHaveEndedOtherwise(session, operation) ||
    clock.isPossiblyPast(session.expiresAt, operation);
  const detail = { lineage: token.lineage };
  return {
    what: 'ends of tokens',
    allowed: [{ type: 'token.revoked', actor, userId, sessionId, reason: 'revoked', detail }],
    isOwed: isOk && !mayBeGone,
    isRepetition,
    because: ended,
    thing: `end of lineage ${token.lineage}`,
  };
}

/**
 * A change of something, or of nothing. What nobody has asked for before is one of something. The same again is not, unless another change
 * may have come between.
 *
 * @type {Expecting}
 */
function ofChange(operation, { sessions, sayings }, isOk) {
  const { actor, sid = '', said, start, end } = operation;
  const session = sessions.get(sid);
  if (session === undefined || isOfAnother(operation, session)) return null;
  const others = sayings.changesFor(sid).filter((other) => other !== operation);
  const same = others.filter((other) => isDeepStrictEqual(other.said, said));
  const isNew = same.every((other) => other.start >= end);
  const before = same.find(
    (other) =>
      other.outcome === 'ok' &&
      other.end < start &&
      others.every((one) => same.includes(one) || one.start >= end || latestEffect(one) <= other.start),
  );
  const user = session.login?.user;
  return {
    what: 'changes by clients',
    allowed: [
      {
        type: 'session.changed',
        actor,
        userId: user === undefined ? undefined : rowIdOf(user),
        sessionId: sid,
      },
    ],
    isOwed: isOk && isNew,
    isRepetition: isOk && before !== undefined,
    because: before,
  };
}

/** Where an operator's end comes in between, the new session is ended as well, and the user is told no. @type {Expecting} */
function ofOwnChange(operation, world, isOk) {
  const { userId, actor, sessionId: asking } = ownerOf(operation, world);
  const { access, password } = operation;
  const changed = {
    type: 'password.changed',
    actor,
    userId,
    sessionId: isOk ? world.tokenOf(access).sid : undefined,
  };
  const ended = { type: 'session.ended', actor, userId, reason: 'password_changed' };
  return {
    what: 'own passwords',
    allowed: isOk ? [changed] : [changed, ended],
    isOwed: false,
    most: isOk ? 1 : 2,
    thing: `password ${password} by session ${asking}`,
    isCertain: true,
  };
}

/** @param {string} type @param {Pick<Told, 'actor' | 'userId'>} about @returns {Expected} */
function ofState(type, about) {
  return { what: 'changes', allowed: [{ type, ...about }], isOwed: false };
}

/** @param {string} type @param {Operation} operation @param {boolean} isOk @returns {Expected} */
function ofKey(type, { isDone }, isOk) {
  return {
    what: 'keys',
    allowed: [{ type }],
    isOwed: isOk && isDone !== false,
    isRepetition: isDone === false,
  };
}

/** @type {Expecting} */
function ofOrder(operation, { rowsOf, tokenOf }, isOk) {
  const { by, actor, ending, counted, reached = 0, sids, token, lineage } = operation;
  const rows = isOk ? rowsOf(ending) : null;
  const isByEpoch = by === 'all' || by === 'now' || by === 'user_ids';
  const hasEnded = by === 'user_ids' ? reached > 0 : isByEpoch || (counted ?? 0) > 0;
  const named = by === 'token' ? [tokenOf(token).lineage] : by === 'jti' ? [lineage ?? ''] : sids;
  return {
    what: 'orders',
    allowed: [
      {
        type: 'revocation.added',
        actor,
        ...(isOk ? { detail: { ending_id: ending } } : {}),
        sessionIds: isByEpoch ? [] : named,
      },
    ],
    isOwed: isOk && (hasEnded || (rows?.size ?? 0) > 0),
    isRepetition: isOk && !hasEnded && (by === 'user_ids' || rows?.size === 0),
  };
}
