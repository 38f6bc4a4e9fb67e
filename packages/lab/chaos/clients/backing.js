// @ts-check
// Backends: programs that know by themselves who their users are, open sessions for them, change what they say of them, and end them. There
// are two, which call their users alike, and neither has a say in what is the other's.
import { hold, refresh } from './holding.js';
import { heldTokens, leave } from './leaving.js';
import { newUser } from './scene.js';
import { labelOf, rowIdOf } from '../subjects.js';
import { askEverywhere, endWatched, tryDead } from './watching.js';

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').User} User */
/** @typedef {import('../history.js').Said} Said */
/** @typedef {{ said: Said, patch: Record<string, unknown> }} Change */

/** How many there are of each. */
const BACKENDS = 2;
const USERS = 8;

/** Between two sessions of one program. */
const PAUSE_MS = { least: 50, most: 400 };

/** A question that is not answered is asked again, so often. */
const TRIES = 8;

/** Sessions that are left open, so that their tokens come near their end before they are changed. */
const MOST_KEPT = 6;

/** Is merged with what changes. */
const TENANT = { tenant: 'żółw' };

/**
 * @param {Scene} scene
 * @param {string[]} ids of the clients
 */
export function createBacking(scene, ids) {
  const users = Array.from({ length: USERS }, (_, number) =>
    ids.map((id, backend) => createSubject(id, backend, `user-${number}@example.com`)),
  );
  /** @type {Held[]} */
  const kept = [];
  let versions = 0;

  async function live() {
    const [user, twin] = pickPair();
    const held = await openFor(scene, user);
    if (held === null) return;
    const other = scene.chance(0.5) ? await openFor(scene, twin) : null;
    if (scene.chance(0.4)) await refresh(scene, held);
    if (!held.isOver && scene.chance(0.7)) await change(held);
    if (other !== null) await trespass(scene, other, held);
    if (held.isOver) return;
    if (scene.chance(0.2) && kept.length < MOST_KEPT) kept.push(held);
    else await end(scene, held);
    if (other === null) return;
    // It is somebody else's, even if the user's name is the same.
    await askEverywhere(scene, [other.access]);
    await refresh(scene, other);
    if (!other.isOver && scene.chance(0.6)) await end(scene, other);
  }

  function pickPair() {
    const pair = scene.pick(users);
    const backend = Math.floor(scene.between(0, BACKENDS));
    return /** @type {[User, User]} */ ([pair[backend], pair[1 - backend]]);
  }

  /** Before everybody's eyes, and perhaps with a refresh under way. @param {Held} held */
  async function change(held) {
    versions += 1;
    const asked = scene.pick(CHANGES)(versions);
    const ask = () => scene.ask.changeSession(held.caller, scene.replica(), backendOf(held), held.sid, asked);
    const before = held.known.slice(-2);
    const meanwhile = scene.chance(0.3) ? refreshSoon(scene, held) : null;
    await endWatched(scene, before, ask);
    await meanwhile;
    if (held.isOver) return;
    await refresh(scene, held);
    if (scene.chance(0.3)) await untilAnswered(scene, ask);
    await Promise.all([
      askEverywhere(scene, [...before, held.access]),
      scene.ask.session(held.caller, scene.replica(), scene.pick(before)),
      scene.ask.session(held.caller, scene.replica(), held.access),
    ]);
  }

  /** One whose access token has a successor by now. */
  async function changeLate() {
    const place = kept.findIndex(
      ({ access: { claims } }) => Date.now() / 1000 > (claims['iat'] + claims['exp']) / 2,
    );
    const [held] = place === -1 ? [] : kept.splice(place, 1);
    if (held === undefined || held.isOver) return;
    const reply = await scene.ask.introspect(held.caller, scene.replica(), held.access);
    if (reply.tokens.reissued !== undefined) held.known.push(reply.tokens.reissued);
    await change(held);
    if (!held.isOver) await end(scene, held);
  }

  return {
    /** One program of a backend, whose requests come one after the other. */
    run: async () => {
      while (!scene.isOver()) {
        await changeLate();
        await live();
        await scene.wait(scene.between(PAUSE_MS.least, PAUSE_MS.most));
      }
    },
  };
}

/** @param {string} id of the client @param {number} backend its number @param {string} externalId */
function createSubject(id, backend, externalId) {
  const label = labelOf(id, externalId);
  return newUser({
    id: rowIdOf(label),
    username: `${externalId} of ${id}`,
    label,
    scope: '',
    subject: { backend, externalId },
  });
}

/** @param {Held} held */
function backendOf({ user: { subject } }) {
  if (subject === undefined) throw new TypeError('no backend has opened it');
  return subject.backend;
}

/** What is said at first: each that may be left out now and then is. @param {Scene} scene @returns {Said} */
function firstSaid(scene) {
  return {
    scope: scene.pick([null, 'read', 'read write']),
    ext: scene.pick([null, TENANT, { ...TENANT, version: 0, roles: ['a', 'b'] }]),
    amr: scene.pick([null, ['pwd'], ['pwd', 'otp']]),
    acr: scene.pick([null, 'level-0']),
    auth_time: scene.pick([null, Math.floor(Date.now() / 1000) - 60]),
  };
}

/**
 * A session for a user of a backend, as often as it takes.
 *
 * @param {Scene} scene
 * @param {User} user
 * @returns {Promise<Held | null>} null when the run is over before
 */
export async function openFor(scene, user) {
  const { subject, username } = user;
  if (subject === undefined) throw new TypeError('no user of a backend');
  const caller = scene.newCaller();
  const reply = await untilAnswered(scene, () =>
    scene.ask.openFor(caller, scene.replica(), { ...subject, username }, firstSaid(scene)),
  );
  return reply === null ? null : hold(scene, user, { ...reply, caller });
}

/** @template {import('./scene.js').Reply} T @param {Scene} scene @param {() => Promise<T>} ask */
async function untilAnswered(scene, ask) {
  for (let attempt = 0; attempt < TRIES && !scene.isOver(); attempt += 1) {
    const reply = await ask();
    if (reply.outcome !== 'unknown') return reply;
    await scene.wait(scene.between(20, 400));
  }
  return null;
}

/** @param {Scene} scene @param {Held} held */
async function refreshSoon(scene, held) {
  await scene.wait(scene.between(0, 30));
  await refresh(scene, held);
}

/** Each says something that nobody has said of the session before. @type {((version: number) => Change)[]} */
const CHANGES = [
  (version) => sayAlike({ scope: `read version-${version}` }),
  // Merged (RFC 7396).
  (version) => ({
    said: { ext: { ...TENANT, version } },
    patch: { ext: { ...TENANT, version, roles: null } },
  }),
  (version) => sayAlike({ scope: null, amr: null, acr: `level-${version}` }),
  (version) =>
    sayAlike({ auth_time: Math.floor(Date.now() / 1000) - 1, acr: `level-${version}`, amr: ['pwd', 'otp'] }),
];

/** @param {Said} said @returns {Change} */
function sayAlike(said) {
  return { said, patch: { ...said } };
}

/** The other client tries what is not its own: of a user whom it calls the same. @param {Scene} scene @param {Held} from @param {Held} onto */
async function trespass(scene, from, onto) {
  const { ask } = scene;
  const asked = /** @type {Change} */ (sayAlike({ scope: 'admin' }));
  const tries = [
    () => ask.endSessionOf(from.caller, scene.replica(), backendOf(from), onto.sid),
    () => ask.changeSession(from.caller, scene.replica(), backendOf(from), onto.sid, asked),
  ];
  await Promise.all(tries.filter(() => scene.chance(0.7)).map((attempt) => attempt()));
  await askEverywhere(scene, [onto.access]);
}

/** By its client, or by its user. @param {Scene} scene @param {Held} held */
async function end(scene, held) {
  const { caller, sid, user } = held;
  const { subject } = user;
  if (subject === undefined || scene.chance(0.3)) {
    await leave(scene, held);
    return;
  }
  const isAll = scene.chance(0.5);
  const late = isAll && scene.chance(0.5) ? openFor(scene, user) : null;
  await endWatched(scene, heldTokens(scene, held), () =>
    isAll
      ? scene.ask.endAllOf(caller, scene.replica(), { ...subject, username: user.username })
      : scene.ask.endSessionOf(caller, scene.replica(), subject.backend, sid),
  );
  held.isOver = true;
  await tryDead(scene, held);
  if (scene.chance(0.3)) await scene.ask.endSessionOf(caller, scene.replica(), subject.backend, sid);
  if (scene.chance(0.2))
    await scene.ask.changeSession(
      caller,
      scene.replica(),
      subject.backend,
      sid,
      sayAlike({ scope: 'too-late' }),
    );
  const opened = await late;
  if (opened !== null) await askEverywhere(scene, [opened.access]);
}
