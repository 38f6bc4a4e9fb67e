// @ts-check
// What backends say of their sessions: which words were surely replaced by when, and which access tokens that ends.
//
// Certain as with scopes of users: after a change to another value that surely came later than every one to this value, this value is in
// force no more. Each name is changed by itself, and a change of any ends all access tokens of before.
import { isDeepStrictEqual } from 'node:util';

import { latestEffect } from './deadlines.js';
import { firstOf } from './first-of.js';
import { groupBy } from './group.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./world.js').Lineage} Lineage */

/** @typedef {ReturnType<typeof createSaid>} Sayings */

const NAMES = /** @type {const} */ (['scope', 'ext', 'amr', 'acr', 'auth_time']);

/** What a token tells of them. @param {Token} token an access token @param {typeof NAMES[number]} name */
const told = ({ claims }, name) => claims[name] ?? null;

/** Whether nothing but another client can have asked for it. @param {Operation} operation @param {Session | undefined} session */
export function isOfAnother({ backend }, session) {
  return session !== undefined && session.login !== null && session.login.backend !== backend;
}

/**
 * @param {Operation[]} operations
 * @param {Map<string, Session>} sessions
 * @param {(id: number | null | undefined) => Token} tokenOf
 */
export function createSaid(operations, sessions, tokenOf) {
  const changesOf = groupBy(
    operations.filter(
      (operation) =>
        operation.kind === 'change' &&
        operation.outcome !== 'refused' &&
        !isOfAnother(operation, sessions.get(operation.sid ?? '')),
    ),
    ({ sid }) => sid ?? '',
  );

  /** Those that may have been made. @param {string} sid */
  const changesFor = (sid) => changesOf.get(sid) ?? [];

  /** @param {string} sid @param {typeof NAMES[number]} name */
  const changesTo = (sid, name) => changesFor(sid).filter(({ said = {} }) => name in said);

  /** The first change that has surely replaced a value for good. @param {string} sid @param {typeof NAMES[number]} name @param {unknown} value */
  function valueReplacedBy(sid, name, value) {
    const changes = changesTo(sid, name);
    const isSame = (/** @type {Operation} */ { said = {} }) => isDeepStrictEqual(said[name], value);
    const lastSetBy = Math.max(-Infinity, ...changes.filter(isSame).map(latestEffect));
    return changes
      .filter((change) => change.outcome === 'ok' && !isSame(change) && change.start > lastSetBy)
      .reduce((first, change) => firstOf(first, change), /** @type {Operation | null} */ (null));
  }

  /** What the session was opened with. @param {Operation} login @param {typeof NAMES[number]} name */
  function firstSaid({ said = {}, refresh }, name) {
    const first = said[name] ?? null;
    // A refresh token tells of the opening.
    return name === 'auth_time' && first === null ? tokenOf(refresh).claims[name] : first;
  }

  return {
    changesFor,

    /** The first change that has surely replaced something that the token tells. @param {Token} token an access token @returns {Operation | null} */
    replacedBy: (token) =>
      NAMES.map((name) => valueReplacedBy(token.sid, name, told(token, name))).reduce(
        (first, change) => firstOf(first, change),
        null,
      ),

    /** Changes after which a token that tells this is dead. @param {Token} token an access token */
    othersThan: (token) =>
      changesFor(token.sid).filter(({ said = {} }) =>
        NAMES.some((name) => name in said && !isDeepStrictEqual(said[name], told(token, name))),
      ),

    /** What the token tells and nobody can have said by the end of an answer. @param {Token} token an access token @param {Operation} login that opened its session @param {Operation} operation */
    unsaid: (token, login, { end }) =>
      NAMES.filter((name) => {
        const value = told(token, name);
        return (
          !isDeepStrictEqual(value, firstSaid(login, name)) &&
          !changesTo(token.sid, name).some(
            ({ said = {}, start }) => start < end && isDeepStrictEqual(said[name], value),
          )
        );
      }),

    /** Whether anything was surely changed. @param {string} sid @param {Operation} operation */
    isSurelyChanged: (sid, { start }) =>
      changesFor(sid).some(({ outcome, end }) => outcome === 'ok' && end < start),
  };
}

/**
 * Access tokens of before end with each change; sessions live on.
 *
 * @param {Iterable<{ token: Token, lineage: Lineage }>} firsts a token of each lineage
 * @param {Sayings} sayings
 */
export function endBySayings(firsts, sayings) {
  for (const { token, lineage } of firsts) {
    if (sayings.changesFor(token.sid).length === 0) continue;
    for (const change of sayings.othersThan(token)) {
      lineage.ends ??= createSpans();
      lineage.ends.add({ from: change.start, until: latestEffect(change), of: change });
    }
    lineage.outdated = sayings.replacedBy(token);
  }
}
