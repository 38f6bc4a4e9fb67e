// @ts-check
// Rule I: whoever asks is told of the token that was sent, of its session and its user, and moves nothing that is another's.
//
// Certain because no bracket is involved: whose a token is never changes, and all claims but the times follow from whose it
// is. The times are for rule G.
import { isDeepStrictEqual } from 'node:util';

import { scopeOf } from './scopes.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./findings.js').Findings} Findings */

/** For logins of users themselves there is no other client. */
const CLIENT_ID = 'gatehouse';

/** @param {World} world @param {Findings} findings */
export function checkIdentity(world, findings) {
  for (const operation of world.operations) {
    const { kind, outcome } = operation;
    if (outcome === 'ok' && (kind === 'login' || kind === 'refresh' || operation.access !== undefined))
      checkMinted(operation, world, findings);
    if ((kind === 'introspect' && operation.active === true) || (kind === 'session' && outcome === 'ok'))
      checkTold(operation, findings);
    if (kind === 'end-session') checkTarget(operation, world, findings);
  }
  checkListed(world, findings);
}

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkMinted(operation, { tokenOf, sessionOf, rules, scopes }, findings) {
  const access = tokenOf(operation.access);
  const refresh = tokenOf(operation.refresh);
  const parent = operation.kind === 'refresh' ? tokenOf(operation.token) : refresh;
  const session = sessionOf(parent);
  if (session.login?.sub === undefined) return;
  findings.apply('I', 'minted');
  const { issuer, audience } = rules;
  const { sub, user, username = user, scope: first = '' } = session.login;
  const scope = scopeOf(access);
  const replaced = scopes.replacedBy(user, scope);
  if (scopes.isSurelyChanged(user, operation)) findings.apply('A', `scopes by ${operation.kind}`);
  if (replaced !== null && replaced.end < operation.start)
    findings.report('A', operation, 'minted with a scope that had been replaced', {
      because: [replaced],
      session: session.sid,
    });
  const common = { iss: issuer, sub, sid: session.sid };
  const ofAccess = {
    aud: audience,
    client_id: CLIENT_ID,
    username,
    ...(scope === '' ? {} : { scope }),
    ...(scope === first ? {} : { ver: access.claims['ver'] }),
  };
  const isOwnScope = scopes.canBeSet(user, scope, operation, first);
  const wrong =
    (isOwnScope && isMintedFor(access, { ...common, ...ofAccess }) ? null : access) ??
    (isMintedFor(refresh, { ...common, aud: issuer }) ? null : refresh);
  if (wrong === null) return;
  const message = `minted for somebody else: ${JSON.stringify(wrong.claims)}`;
  findings.report('I', operation, message, { session: session.sid });
}

/** @param {Token} token @param {Record<string, unknown>} whose */
function isMintedFor({ claims, lineage, generation }, whose) {
  const { iat, exp, auth_time, session_exp } = claims;
  return isDeepStrictEqual(claims, {
    ...whose,
    jti: `${lineage}.${generation}`,
    iat,
    exp,
    auth_time,
    session_exp,
  });
}

/** @param {Operation} operation @param {Findings} findings */
function checkTold(operation, findings) {
  findings.apply('I', 'claims', operation);
  const { others = [] } = operation;
  if (others.length > 0) findings.report('I', operation, `told of another token: ${others.join(', ')}`);
}

/** Another user's session is nobody's. @param {Operation} operation @param {World} world @param {Findings} findings */
function checkTarget(operation, { sessions, sessionOf, tokenOf }, findings) {
  const target = sessions.get(operation.sid ?? '');
  const { user } = sessionOf(tokenOf(operation.token));
  if (!isAnothers(target, user) || operation.outcome === 'unknown') return;
  findings.apply('I', "others' sessions");
  if (operation.outcome === 'ok')
    findings.report('I', operation, 'ended a session of another user', { session: target?.sid });
}

/** @param {Session | undefined} session @param {string | null} user */
function isAnothers(session, user) {
  return session !== undefined && session.user !== null && user !== null && session.user !== user;
}

/** @param {World} world @param {Findings} findings */
function checkListed({ operations, sessions, sessionOf, tokenOf }, findings) {
  /** Whose those are that no login has told of: of whoever was shown them first. @type {Map<string, { user: string, operation: Operation }>} */
  const shown = new Map();
  for (const operation of operations) {
    if (operation.kind !== 'list' || operation.outcome !== 'ok') continue;
    findings.apply('I', 'lists');
    const own = sessionOf(tokenOf(operation.token));
    const { sids = [], current } = operation;
    const expected = sids.includes(own.sid) ? [own.sid] : [];
    if (current !== undefined && !isDeepStrictEqual(current, expected))
      findings.report('I', operation, `called ${current.join(', ') || 'none'} current`, { session: own.sid });
    if (new Set(sids).size !== sids.length)
      findings.report('I', operation, 'listed a session twice', { session: own.sid });
    for (const sid of sids) {
      const user = sessions.get(sid)?.user ?? shown.get(sid)?.user ?? own.user;
      if (user !== own.user)
        findings.report('I', operation, 'listed a session of another user', {
          because: [shown.get(sid)?.operation],
          session: sid,
        });
      else if (user !== null && !shown.has(sid)) shown.set(sid, { user, operation });
    }
  }
}
