// @ts-check
// Rule I: whoever asks is told of the token that was sent, of its session and its user, and moves nothing that is another's.
//
// Certain because no bracket is involved: whose a token is never changes, and all claims but the times follow from whose it
// is. The times are for rule G.
import { isDeepStrictEqual } from 'node:util';

import { FIRST_PARTY } from '../subjects.js';
import { scopeOf } from './scopes.js';

/** @typedef {import('../history.js').Operation} Operation */
/** @typedef {import('../history.js').Token} Token */
/** @typedef {import('./world.js').World} World */
/** @typedef {import('./world.js').Session} Session */
/** @typedef {import('./findings.js').Findings} Findings */

/** @param {World} world @param {Findings} findings */
export function checkIdentity(world, findings) {
  for (const operation of world.operations) {
    const { kind, outcome } = operation;
    if (outcome === 'ok' && operation.access !== undefined) checkMinted(operation, world, findings);
    if ((kind === 'introspect' && operation.active === true) || (kind === 'session' && outcome === 'ok'))
      checkTold(operation, findings);
    if (kind === 'end-session') checkTarget(operation, world, findings);
  }
  checkListed(world, findings);
}

/** What asks with a token is answered with one of the same session; what opens another one, with one of that. */
const SAME_SESSION = new Set(['refresh', 'reauthenticate']);

/** @param {Operation} operation @param {World} world @param {Findings} findings */
function checkMinted(operation, world, findings) {
  const { tokenOf, sessionOf, rules } = world;
  const access = tokenOf(operation.access);
  const refresh = operation.refresh === undefined ? null : tokenOf(operation.refresh);
  const session = sessionOf(
    SAME_SESSION.has(operation.kind) ? tokenOf(operation.token) : (refresh ?? access),
  );
  const { login, sid } = session;
  if (login?.sub === undefined) return;
  findings.apply('I', 'minted');
  const { issuer } = rules;
  const { sub, backend } = login;
  const words = backend === undefined ? wordsOfUser : wordsOfBackend;
  const { own, replaced, isChanged } = words(access, login, operation, world);
  if (isChanged) findings.apply('A', `${backend === undefined ? 'scopes' : 'claims'} by ${operation.kind}`);
  if (replaced !== null && replaced.end < operation.start)
    findings.report(
      'A',
      operation,
      `minted with ${backend === undefined ? 'a scope' : 'claims'} that had been replaced`,
      {
        because: [replaced],
        session: sid,
      },
    );
  const common = { iss: issuer, sub, sid };
  const ofRefresh = { ...common, aud: issuer, ...(backend === undefined ? {} : { client_id: backend }) };
  const wrong =
    (own !== null && isMintedFor(access, { ...common, ...own }) ? null : access) ??
    (refresh === null || isMintedFor(refresh, ofRefresh) ? null : refresh);
  if (wrong === null) return;
  const message = `minted for somebody else: ${JSON.stringify(wrong.claims)}`;
  findings.report('I', operation, message, { session: sid });
}

/**
 * @typedef {object} Words
 * @property {Record<string, unknown> | null} own claims that the access token has to have; null where it has one that can be nobody's
 * @property {Operation | null} replaced what has surely replaced something that it tells
 * @property {boolean} isChanged whether something else than the first was surely in force
 */

/** @param {Token} access @param {Operation} login @param {Operation} operation @param {World} world @returns {Words} */
function wordsOfUser(access, login, operation, { rules, scopes }) {
  const { user, username = user, scope: first = '' } = login;
  const scope = scopeOf(access);
  const own = {
    aud: rules.audience,
    client_id: FIRST_PARTY,
    username,
    ...(scope === '' ? {} : { scope }),
    ...(scope === first ? {} : { ver: access.claims['ver'] }),
  };
  return {
    own: scopes.canBeSet(user, scope, operation, first) ? own : null,
    replaced: scopes.replacedBy(user, scope),
    isChanged: scopes.isSurelyChanged(user, operation),
  };
}

/** @param {Token} access @param {Operation} login @param {Operation} operation @param {World} world @returns {Words} */
function wordsOfBackend(access, login, operation, { rules, sayings }) {
  const { scope, ext, amr, acr, ver } = access.claims;
  const changes = sayings.changesFor(access.sid).filter(({ start }) => start < operation.end);
  const isCount = ver === undefined || (ver >= 1 && ver <= changes.length);
  const own = {
    aud: rules.audience,
    client_id: login.backend,
    username: login.username,
    ...withoutMissing({ scope, ext, amr, acr, ver }),
  };
  return {
    own: isCount && sayings.unsaid(access, login, operation).length === 0 ? own : null,
    replaced: sayings.replacedBy(access),
    isChanged: sayings.isSurelyChanged(access.sid, operation),
  };
}

/** @param {Record<string, unknown>} claims */
function withoutMissing(claims) {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
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
