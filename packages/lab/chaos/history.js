// @ts-check
// What was asked of which replica when, and what came back: all that the checker knows of a run.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/**
 * @typedef {object} Rules as the replicas were started with; times in seconds
 * @property {number} accessTtl
 * @property {number} refreshTtl
 * @property {number} sessionTtl
 * @property {number} grace
 * @property {number} reissueMax
 * @property {number} replayWindow
 * @property {string} issuer
 * @property {string} audience
 */

/**
 * @typedef {object} Token a token as it was received
 * @property {number} id its place in `history.tokens`: one text, one token
 * @property {'access' | 'refresh'} type
 * @property {string} text the whole of it; the file keeps the claims and a fingerprint alone
 * @property {Record<string, any>} claims unverified
 * @property {string} sid
 * @property {string} lineage
 * @property {number} generation
 */

/**
 * Kinds, with what they carry besides:
 *
 * `user` is whom it is about: a name, with a number behind it where the name was given to somebody else before. Then `username` is the name.
 *
 * - `login` user, sub and scope (what the user was made with), password (a version that counts from 0), honest; ok: sid,
 *   access, refresh (ids of tokens)
 * - `refresh` token; ok: access, refresh
 * - `introspect` token, batchSize; ok: active, reissued (id of a token, or null), others
 * - `session` token, maxAge (GET /session, with `max_age` or without); ok: others; ok or refused: reissued
 * - `list` token (GET /sessions); ok: sids, current; ok or refused: reissued
 * - `logout` token, access or refresh
 * - `logout-all` token, exceptCurrent; ok: ended (how many)
 * - `end-session` token, sid (DELETE /sessions/:id)
 * - `revoke` token, access or refresh
 * - `disable`, `enable` user · `password` user, password (the new version); where the user did it: token, proved (the version
 *   that was sent as the current one), and sub, scope and honest as for a login; ok: access, refresh
 * - `retire-key`, `rotate-key`; ok: isDone false where it found nothing to do · `prune`
 * - `order` (an operator's end, POST /admin/revocations) by, which says with what of sids, users, token, lineage, network with since and
 *   until, before; isDryRun; ok: ending, counted (sessions and lineages that it says to have ended; null of a dry run), reached (users)
 * - `rows` (GET /admin/revocations) ending; ok: rows, all that an order wrote
 * - `lift` row, target, rowKind; ok: restored
 * - `scope` (PATCH /admin/users/:id) user, scope (the new one)
 * - `delete` (DELETE /admin/users/:id) user
 * - `add-user` (POST /admin/users) user, scope, heir (the user who had the name before); ok: sub
 * - `export` (GET /admin/users/:id/export) user; ok: sids
 * - `reauthenticate` token, user, proved (the version of the password that was sent); ok: access
 * - `open` (POST /sessions) backend, user, username, sub (what the backend calls the user), said, honest; ok: sid, access, refresh
 * - `change` (PATCH /sessions/:id) backend, sid, said (what was asked for, as it is said afterwards; nothing of what stays)
 * - `client-end` (DELETE /sessions/:id by a client) backend, sid · `client-end-all` (POST /logout-all by a client) backend, user, sub; ok: ended
 * - `fault` name, target (a replica's name, `postgres`, or null): not asked of anybody, but over the same clock;
 *   `isKill` where something lost its memory, `isAway` where there was no database in all of the time
 *
 * @typedef {object} Operation
 * @property {number} id
 * @property {string} kind
 * @property {string} replica whose port was asked; `operator` where the domain was called on a connection of its own
 * @property {number} client who asked; clients are numbered
 * @property {number} start milliseconds by the one monotonic clock
 * @property {number} end the same; of an unknown outcome, when nobody waited any longer
 * @property {'ok' | 'refused' | 'unknown'} outcome `refused`: a definite no. 503, a broken connection and a time-out are
 * `unknown`: it may have happened, and may yet happen
 * @property {number | null} status of HTTP
 * @property {string | null} error the code in the answer
 * @property {number=} mark of the request, which its events bear: one for all operations of a batch
 * @property {string=} actor who asks, as events name it, where that is a client
 * @property {string=} backend id of the client that opens, changes or ends sessions
 * @property {Said=} said
 * @property {number=} maxAge seconds
 * @property {string=} user
 * @property {string=} username
 * @property {string=} heir
 * @property {string=} sub
 * @property {string | undefined=} scope
 * @property {number=} password
 * @property {number=} proved
 * @property {boolean=} honest the session's client sends a token again only as long as the window allows
 * @property {number=} token
 * @property {string=} sid
 * @property {number=} access
 * @property {number=} refresh
 * @property {number=} batchSize of the tokens that the same request asked about, where it could ask about many: each is an operation
 * @property {boolean=} active
 * @property {number | null=} reissued
 * @property {string[]=} others names of the claims and headers in the answer that are not the token's own
 * @property {string[]=} sids
 * @property {string[]=} current those of them that are said to be the one that asks
 * @property {boolean=} exceptCurrent
 * @property {number=} ended
 * @property {OrderBy=} by
 * @property {string[]=} users their names
 * @property {string=} lineage of a `jti`
 * @property {string=} network an address, or a CIDR range of IPv4
 * @property {number=} since milliseconds since 1970, as `until` and `before`
 * @property {number=} until
 * @property {number=} before
 * @property {boolean=} isDryRun
 * @property {boolean=} isDone
 * @property {string=} ending
 * @property {number | null=} counted
 * @property {number=} reached
 * @property {Row[]=} rows
 * @property {string=} row
 * @property {Row['kind']=} rowKind
 * @property {boolean=} restored
 * @property {string=} name
 * @property {string | null=} target
 * @property {boolean=} isKill
 * @property {boolean=} isAway
 * @property {boolean=} isOpenEnded unanswered it may be decided however late, since commits wait for a standby
 */

/**
 * @typedef {object} History
 * @property {number} seed
 * @property {Rules} rules
 * @property {number} epochMs the database's clock (milliseconds since 1970) at 0 of the monotonic clock: both are this machine's
 * @property {number} toleranceMs how far those two have drifted apart at most
 * @property {Token[]} tokens
 * @property {Beat[]} beats all of them, in the order of their commits; their times too are by the monotonic clock
 * @property {NotedEvent[] | null} events all of them, but of requests under way; null where nobody has read them
 * @property {Operation[]} operations in the order of their ends
 */

/**
 * What a backend says of a session, null where it says that there is none. Of an opening, that leaves out nothing: all of it.
 *
 * @typedef {object} Said
 * @property {string | null=} scope
 * @property {Record<string, unknown> | null=} ext
 * @property {string[] | null=} amr
 * @property {string | null=} acr
 * @property {number | null=} auth_time
 */

/** @typedef {import('./beats.js').Beat} Beat */

/** @typedef {import('./noted-events.js').NotedEvent} NotedEvent */

/** What an order names; `now` is all that has been opened by its own moment. @typedef {'session_ids' | 'user_ids' | 'jti' | 'token' | 'ip' | 'all' | 'now'} OrderBy */

/** A row that an order wrote. @typedef {{ id: string, kind: 'token' | 'session' | 'user', target: string | null }} Row */

/** Of a hash that stands for a token's text in a file: enough to tell a run's tokens apart. */
const FINGERPRINT_CHARACTERS = 16;

/** What is never smaller: `Date.now()` counts whole milliseconds. */
const LEAST_TOLERANCE_MS = 1;

/**
 * @param {{ seed: number, rules: Rules }} options
 * @returns {Recorder}
 *
 * @typedef {object} Recorder
 * @property {() => number} now milliseconds by the one monotonic clock, from 0
 * @property {(text: string) => Token} token the token of this text, the same object each time; throws for what is no JWT of ours
 * @property {() => number} mark for a request, which is under way from now on until an operation with it is added
 * @property {(operation: Omit<Operation, 'id'>) => Operation} add
 * @property {(beats: Beat[]) => void} setBeats is given those of the database, all until now
 * @property {(events: NotedEvent[]) => void} setEvents the same
 * @property {() => History} history all that was added until now
 * @property {(file: string) => Promise<void>} writeTo one line of JSON for the run with its beats and events, one for each token, one for each operation
 */
export function createRecorder({ seed, rules }) {
  const origin = performance.now();
  const epochMs = Date.now();
  /** @type {Map<string, Token>} */
  const tokens = new Map();
  /** @type {Operation[]} */
  const operations = [];
  /** @type {Beat[]} */
  let beats = [];
  /** @type {NotedEvent[] | null} */
  let events = null;
  let marks = 0;
  /** Marks of requests whose operations are not known yet. @type {Set<number>} */
  const underWay = new Set();
  let driftMs = 0;

  const now = () => performance.now() - origin;

  /** Only drift that is certain counts: whoever is put to sleep between two clocks has not seen them part. */
  function compareClocks() {
    const before = now();
    const wall = Date.now() - epochMs;
    const after = now();
    driftMs = Math.max(driftMs, before - wall - 1, wall - after);
  }

  /** @returns {History} */
  function history() {
    compareClocks();
    return {
      seed,
      rules,
      epochMs,
      toleranceMs: driftMs + LEAST_TOLERANCE_MS,
      tokens: [...tokens.values()],
      beats,
      events: events?.filter(({ mark }) => mark === null || !underWay.has(mark)) ?? null,
      operations: operations.toSorted((a, b) => a.end - b.end),
    };
  }

  return {
    now,
    token: (text) => {
      const known = tokens.get(text);
      if (known !== undefined) return known;
      const token = readToken(text, tokens.size);
      tokens.set(text, token);
      return token;
    },
    mark: () => {
      marks += 1;
      underWay.add(marks);
      return marks;
    },
    add: (operation) => {
      compareClocks();
      if (operation.mark !== undefined) underWay.delete(operation.mark);
      const added = { id: operations.length, ...operation };
      operations.push(added);
      return added;
    },
    setBeats: (all) => {
      const since = (/** @type {number | null} */ time) => (time === null ? null : time - epochMs);
      beats = all.map((beat) => ({
        notedAt: beat.notedAt - epochMs,
        at: beat.at - epochMs,
        since: since(beat.since),
        until: since(beat.until),
      }));
    },
    setEvents: (all) => {
      events = all;
    },
    history,
    writeTo: (file) => pipeline(Readable.from(linesOf(history())), createWriteStream(file)),
  };
}

/**
 * @param {string} text
 * @param {number} id
 * @returns {Token}
 */
function readToken(text, id) {
  const [header = '', payload = ''] = text.split('.');
  const type = typesOfHeaders.get(header) ?? TYPES.get(parseSegment(header)['typ']);
  if (type === undefined) throw new Error('an answer carries a token of a type that is not ours');
  typesOfHeaders.set(header, type);
  const claims = parseSegment(payload);
  const [lineage = '', generation = ''] = String(claims['jti']).split('.');
  return { id, type, text, claims, sid: String(claims['sid']), lineage, generation: Number(generation) };
}

/** @type {Map<unknown, Token['type']>} */
const TYPES = new Map([
  ['at+jwt', 'access'],
  ['rt+jwt', 'refresh'],
]);

/** Of the few headers, one for each key and type, that the many tokens of a run have. @type {Map<string, Token['type']>} */
const typesOfHeaders = new Map();

/**
 * @param {string} segment
 * @returns {Record<string, any>}
 */
function parseSegment(segment) {
  return JSON.parse(Buffer.from(segment, 'base64url').toString());
}

/** @param {History} history */
function* linesOf({ tokens, operations, ...run }) {
  yield `${JSON.stringify(run)}\n`;
  for (const { text, ...token } of tokens) {
    const fingerprint = createHash('sha256').update(text).digest('hex').slice(0, FINGERPRINT_CHARACTERS);
    yield `${JSON.stringify({ ...token, fingerprint })}\n`;
  }
  for (const operation of operations) yield `${JSON.stringify(operation)}\n`;
}
