// @ts-check
// Administrators at `/admin`: end what others hold, in each way, before the eyes of everybody; take some of it back; change scopes; delete users.
import { createDeleting } from './deleting.js';
import { logInMeanwhile } from './family.js';
import { everyCycle } from './cycle.js';
import { adopt, open, refresh } from './holding.js';
import { isByLogin } from './scene.js';
import { askEverywhere, endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').Reply} Reply */
/** @typedef {import('../orders.js').Target} Target */
/** @typedef {import('../orders.js').How} How */
/** @typedef {import('../history.js').Row} Row */

/**
 * How often, in seconds, ends, changes of scope and deletions begin; and how much of what the administrator ends are sessions of its own
 * making. `everything` lists when, within each cycle, everything ends that is open: some must live long.
 */
const PACE = {
  ends: 0.8,
  scopes: 1.3,
  deletions: 2.5,
  ownShare: 0.2,
  everything: [6.5, 11.5],
  everythingCycle: 82,
};

/** @typedef {typeof PACE} Pace */

/** Sessions that are watched while everything ends. */
const WATCHED = 4;

/** Side by side, since each waits for answers, and most of the time before a lift. */
const ENDING = 6;
const CHANGING = 2;

/** Sessions that one order names. */
const MOST_NAMED = 4;

/** Questions that are not answered are asked again, so often. */
const TRIES = 12;

const MINUTE_MS = 60_000;

/** Two administrators: what both have ended is alive when both have lifted. */
const ADMINISTRATORS = 2;

/** How often each way is chosen. @type {((scene: Scene, held: Held[]) => { target: Target, meant: Held[] })[]} */
const WAYS = [
  ...Array(4).fill(bySessions),
  ...Array(2).fill(byToken),
  ...Array(2).fill(byJti),
  ...Array(2).fill(byNetwork),
  ...Array(2).fill(byUsers),
  ...Array(2).fill(byTime),
];

/** @param {Scene} scene @param {Partial<Pace>=} pace 0 for never */
export function createAdministering(scene, pace = {}) {
  const { ends, scopes, deletions, ownShare, everything, everythingCycle } = { ...PACE, ...pace };
  const caller = scene.newCaller();
  const pickAdministrator = () => Math.floor(scene.between(0, ADMINISTRATORS));

  /** @param {Target} target @param {How} how */
  const order = (target, how) => scene.ask.order(caller, scene.replica(), target, how);

  async function endSome() {
    const held = await findSome();
    if (held.length === 0) return;
    const { target, meant } = scene.pick(WAYS)(scene, held);
    const tokens = meant.flatMap(({ access, known }) => [access, scene.pick(known)]);
    const administrator = pickAdministrator();
    if (scene.chance(0.15)) await lookFirst(target, tokens, administrator);
    // Where more than one of them lives nothing ends then.
    const mostSessions = scene.chance(0.1) ? 1 : undefined;
    const endings = await endUntilAnswered(target, tokens, {
      administrator,
      ...(mostSessions === undefined ? {} : { mostSessions }),
    });
    if (scene.chance(0.35)) await Promise.all(meant.map((one) => tryDead(scene, one)));
    if (target.by === 'user_ids' || target.by === 'all') {
      if (endings.length > 0 && scene.chance(0.6)) await lift(await rowsOf(endings), meant);
      return;
    }
    // The other one ends it as well, in a row of its own.
    if (scene.chance(0.2))
      endings.push(...(await endUntilAnswered(target, tokens, { administrator: administrator + 1 })));
    const rows = await rowsOf(endings);
    if (scene.chance(0.3)) return;
    await scene.wait(scene.pick([0, 30, scene.between(0, 2500)]));
    await lift(scene.chance(0.7) ? rows : rows.slice(0, 1), meant);
    if (scene.chance(0.8)) await goOn(meant);
  }

  /** Whoever logs in meanwhile is out as well, or was let in afterwards. */
  async function endEverything() {
    const living = findLiving(scene).slice(-WATCHED);
    const late = Promise.all(living.slice(0, 2).map(({ user }) => logInMeanwhile(scene, user)));
    const tokens = living.flatMap(({ access, known }) => [access, scene.pick(known)]);
    const administrator = pickAdministrator();
    const target = /** @type {const} */ ({ by: 'now' });
    if (scene.chance(0.5)) await lookFirst(target, tokens, administrator);
    const endings = await endUntilAnswered(target, tokens, { administrator });
    for (const held of living) await tryDead(scene, held);
    if (scene.chance(0.5)) await lift(await rowsOf(endings), living);
    await late;
  }

  /** Some that live, as far as anybody knows: what others use, or what was opened for this. */
  async function findSome() {
    if (scene.chance(ownShare)) {
      const opened = await Promise.all(
        Array.from({ length: scene.pick([1, 1, 2, 3]) }, () => open(scene, { honest: true })),
      );
      return opened.filter((held) => held !== null);
    }
    const living = findLiving(scene);
    return living.length === 0
      ? []
      : Array.from({ length: 1 + Math.floor(scene.between(0, MOST_NAMED)) }, () => scene.pick(living));
  }

  /** Nothing ends, and everybody is still let in. @param {Target} target @param {Held['known']} tokens @param {number} administrator */
  async function lookFirst(target, tokens, administrator) {
    await order(target, { administrator, isDryRun: true });
    await askEverywhere(scene, tokens);
  }

  /**
   * @param {Target} target
   * @param {Held['known']} tokens
   * @param {How} how
   * @returns {Promise<string[]>} of the order that was answered, if one was
   */
  async function endUntilAnswered(target, tokens, how) {
    /** @type {string[]} */
    const endings = [];
    await endWatched(scene, tokens, async () => {
      const reply = await order(target, how);
      if (reply.ending !== undefined && reply.outcome === 'ok') endings.push(reply.ending);
      return reply;
    });
    return endings;
  }

  /** @param {string[]} endings @returns {Promise<Row[]>} as far as that was answered */
  async function rowsOf(endings) {
    const found = [];
    for (const ending of endings) {
      const reply = await untilAnswered(() =>
        scene.ask.rows(caller, scene.replica(), ending, { administrator: pickAdministrator() }),
      );
      found.push(...(reply?.rows ?? []));
    }
    return found;
  }

  /** @template {Reply} T @param {() => Promise<T>} ask */
  async function untilAnswered(ask) {
    for (let attempt = 0; attempt < TRIES && !scene.isOver(); attempt += 1) {
      const reply = await ask();
      if (reply.outcome !== 'unknown') return reply;
      await scene.wait(scene.between(20, 500));
    }
    return null;
  }

  /** @param {Row[]} rows @param {Held[]} meant */
  async function lift(rows, meant) {
    for (const row of rows) {
      await untilAnswered(() =>
        scene.ask.lift(caller, scene.replica(), row, { administrator: pickAdministrator() }),
      );
    }
    await askEverywhere(
      scene,
      meant.flatMap(({ known }) => known.slice(-2)),
    );
  }

  /** What was given back is of use again. @param {Held[]} meant */
  async function goOn(meant) {
    for (const held of new Set(meant)) {
      if (scene.isOver()) return;
      await refresh(scene, held);
      if (!held.isOver) await askEverywhere(scene, [held.access]);
    }
  }

  async function changeScope() {
    const living = findLiving(scene).filter(isByLogin);
    const held =
      scene.chance(ownShare) || living.length === 0
        ? await open(scene, { honest: true })
        : scene.pick(living);
    if (held === null) return;
    const { user } = held;
    const administrator = pickAdministrator();
    user.scopes += 1;
    const scope = scopeOf(user);
    const ask = () => scene.ask.changeScope(caller, scene.replica(), user, scope, { administrator });
    const others = scene.remembered.filter((one) => one.user === user && one !== held).slice(-2);
    const late = scene.chance(0.3) ? logInMeanwhile(scene, user) : Promise.resolve([]);
    await endWatched(
      scene,
      [held, ...others].flatMap(({ known }) => known.slice(-2)),
      ask,
    );
    if ((await untilAnswered(ask)) === null) return;
    const before = held.access;
    // Nobody has to log in again.
    adopt(held, await scene.ask.refresh(held.caller, scene.replica(), held.refresh));
    if (scene.chance(0.3)) await untilAnswered(ask);
    await Promise.all([
      askEverywhere(scene, [before, held.access]),
      scene.ask.session(held.caller, scene.replica(), before),
      scene.ask.session(held.caller, scene.replica(), held.access),
    ]);
    await late;
  }

  /** @param {number} seconds @param {() => Promise<unknown>} work */
  async function every(seconds, work) {
    while (!scene.isOver()) {
      await scene.wait(1000 * seconds * scene.between(0.3, 1.7));
      if (!scene.isOver()) await work();
    }
  }

  const { deleteOne } = createDeleting(scene, { untilAnswered, pickAdministrator });

  return {
    run: () =>
      Promise.all([
        ...(deletions > 0 ? [every(deletions, deleteOne)] : []),
        everyCycle(scene, { at: everything, length: everythingCycle }, endEverything),
        ...(ends > 0 ? Array.from({ length: ENDING }, () => every(ENDING * ends, endSome)) : []),
        ...(scopes > 0 ? Array.from({ length: CHANGING }, () => every(CHANGING * scopes, changeScope)) : []),
      ]),
  };
}

/** As far as anybody knows. @param {Scene} scene */
function findLiving({ remembered }) {
  return remembered.filter(
    ({ isOver, refresh: { claims } }) => !isOver && Number(claims['session_exp']) > Date.now() / 1000,
  );
}

/** Each other one is told from all others. @param {import('./scene.js').User} user */
function scopeOf({ scopes }) {
  return `read version-${scopes}`;
}

/** @type {(typeof WAYS)[number]} */
function bySessions(_scene, held) {
  return { target: { by: 'session_ids', sids: [...new Set(held.map(({ sid }) => sid))] }, meant: held };
}

/** @type {(typeof WAYS)[number]} */
function byUsers(_scene, held) {
  const meant = held.slice(0, 2);
  return {
    target: {
      by: 'user_ids',
      users: meant.map(({ user: { id, username, label } }) => ({ id, username, label })),
    },
    meant,
  };
}

/** Of an access token, or of a refresh token. @type {(typeof WAYS)[number]} */
function byToken(scene, [held, ...rest]) {
  if (held === undefined) return bySessions(scene, rest);
  return { target: { by: 'token', token: scene.pick([...held.known, held.refresh]) }, meant: [held] };
}

/** The same by the id alone. @type {(typeof WAYS)[number]} */
function byJti(scene, [held, ...rest]) {
  if (held === undefined) return bySessions(scene, rest);
  const { lineage, generation } = scene.pick([...held.known, held.refresh]);
  return { target: { by: 'jti', lineage, generation }, meant: [held] };
}

/** What was opened from the address of one of them, or from its neighbours, within two minutes. @type {(typeof WAYS)[number]} */
function byNetwork(scene, [held, ...rest]) {
  if (held === undefined) return bySessions(scene, rest);
  const now = Date.now();
  const network = `${held.caller.address}${scene.pick(['', '/31'])}`;
  return { target: { by: 'ip', network, since: now - 2 * MINUTE_MS, until: now + MINUTE_MS }, meant: [held] };
}

/** All that is older than the oldest of them, and itself. @type {(typeof WAYS)[number]} */
function byTime(scene, held) {
  const [oldest = held[0]] = findLiving(scene).toSorted((a, b) => (a.sid < b.sid ? -1 : 1));
  if (oldest === undefined) throw new RangeError('nothing to end');
  return { target: { by: 'all', before: openedMs(oldest.sid) + 1 }, meant: [oldest] };
}

/** Milliseconds since 1970. @param {string} sid a UUIDv7 */
function openedMs(sid) {
  return Number.parseInt(sid.slice(0, 8) + sid.slice(9, 13), 16);
}
