// @ts-check
// Other scopes of users: which was surely replaced by when, and which access tokens that ends.
//
// Certain as with passwords: after a change to another scope that surely came later than every one to this scope, this scope is in
// force no more. A scope that is set again, while it is in force, changes nothing.
import { latestEffect } from './deadlines.js';
import { firstOf } from './first-of.js';
import { groupBy } from './group.js';
import { createSpans } from './spans.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').Lineage} Lineage */

/** @typedef {ReturnType<typeof createScopes>} Scopes */

/** @param {Operation[]} operations */
export function createScopes(operations) {
  const changesOf = groupBy(
    operations.filter(({ kind, outcome }) => kind === 'scope' && outcome !== 'refused'),
    ({ user }) => user ?? '',
  );

  /** @param {string | null | undefined} user */
  const changesFor = (user) => changesOf.get(user ?? '') ?? [];

  /** The first change that has surely replaced a scope for good. @param {string | null | undefined} user @param {string} scope @returns {Operation | null} */
  function replacedBy(user, scope) {
    const changes = changesFor(user);
    const lastSetBy = Math.max(
      -Infinity,
      ...changes.filter((change) => change.scope === scope).map(latestEffect),
    );
    return changes
      .filter((change) => change.outcome === 'ok' && change.scope !== scope && change.start > lastSetBy)
      .reduce((first, change) => firstOf(first, change), /** @type {Operation | null} */ (null));
  }

  return {
    replacedBy,

    /** Changes of a user that may have been made. @param {string | null | undefined} user */
    changesFor,

    /** Whether a user can have had a scope by the time of an answer. @param {string | null | undefined} user @param {string} scope @param {Operation} operation @param {string | undefined} first that the user was made with */
    canBeSet: (user, scope, { end }, first) =>
      scope === (first ?? '') ||
      changesFor(user).some((change) => change.scope === scope && change.start < end),

    /** Whether another scope than the first one was surely in force. @param {string | null | undefined} user @param {Operation} operation */
    isSurelyChanged: (user, { start }) =>
      changesFor(user).some(({ outcome, end }) => outcome === 'ok' && end < start),
  };
}

/** @param {Token} token an access token */
export function scopeOf({ claims }) {
  return typeof claims['scope'] === 'string' ? claims['scope'] : '';
}

/**
 * Access tokens of before end with each other scope of their user; sessions live on.
 *
 * @param {Iterable<{ token: Token, lineage: Lineage }>} firsts a token of each lineage
 * @param {Scopes} scopes
 */
export function endByScopes(firsts, scopes) {
  for (const { token, lineage } of firsts) {
    const { user } = lineage.session;
    const scope = scopeOf(token);
    for (const change of scopes.changesFor(user)) {
      if (change.scope === scope) continue;
      lineage.ends ??= createSpans();
      lineage.ends.add({ from: change.start, until: latestEffect(change), of: change });
    }
    lineage.outdated = scopes.replacedBy(user, scope);
  }
}
