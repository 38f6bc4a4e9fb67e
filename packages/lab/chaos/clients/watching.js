// @ts-check
// Bystanders: resource servers that ask about a token on every replica while it is ended, and from the moment that it was.

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('./scene.js').Held} Held */
/** @typedef {import('./scene.js').Token} Token */
/** @typedef {import('./scene.js').Reply} Reply */

/** An end that nobody acknowledges is asked for again, so often. */
const TRIES = 8;

/** From then on a bystander waits so many times as long as its last answer took: what takes longer than this needs the machine itself. */
const DENSE_MS = 500;
const PATIENCE_TIMES = 2;

/** In one batch, beside the tokens that it is about. */
const MOST_OTHERS = 6;

/**
 * Asks one replica about each of the tokens: one at a time, or in one batch.
 *
 * @param {Scene} scene
 * @param {import('./scene.js').Caller} server
 * @param {import('./scene.js').Replica} replica
 * @param {Token[]} tokens may be none
 */
export async function askAbout({ ask, ...scene }, server, replica, tokens) {
  if (tokens.length === 0) return;
  if (scene.chance(scene.batchedShare)) await ask.introspectBatch(server, replica, mix(scene, tokens));
  else await Promise.all(tokens.map((token) => ask.introspect(server, replica, token)));
}

/** Among tokens of other sessions, which live or have lived, so that a result in another's place is wrong. @param {Pick<Scene, 'between' | 'pick' | 'remembered'>} scene @param {Token[]} tokens */
function mix({ between, pick, remembered }, tokens) {
  const below = (/** @type {number} */ end) => Math.floor(between(0, end));
  const others = remembered.length === 0 ? 0 : below(MOST_OTHERS + 1);
  const batch = Array.from({ length: others }, () => pick(pick(remembered).known));
  for (const token of tokens) batch.splice(below(batch.length + 1), 0, token);
  return batch;
}

/**
 * Asks about tokens on all replicas, one question after the other on each.
 *
 * @param {Scene} scene
 * @param {Token[]} tokens may be none
 * @returns {() => Promise<void>} stops it
 */
export function watch(scene, tokens) {
  const watcher = scene.newCaller();
  const begunAt = scene.now();
  let isStopped = false;
  const watching = (tokens.length === 0 ? [] : scene.replicas).map(async (replica) => {
    while (!isStopped && !scene.isOver()) {
      const since = scene.now();
      if (replica.isUp()) await askAbout(scene, watcher, replica, [scene.pick(tokens)]);
      else await scene.wait(5);
      if (since - begunAt > DENSE_MS) await scene.wait(PATIENCE_TIMES * (scene.now() - since));
    }
  });
  return async () => {
    isStopped = true;
    await Promise.all(watching);
  };
}

/** Asks once about each token on each replica, all replicas at once. @param {Scene} scene @param {Token[]} tokens */
export async function askEverywhere(scene, tokens) {
  const watcher = scene.newCaller();
  await Promise.all(
    scene.replicas
      .filter((replica) => replica.isUp())
      .map((replica) => askAbout(scene, watcher, replica, tokens)),
  );
}

/**
 * Ends something before the eyes of all resource servers.
 *
 * @param {Scene} scene
 * @param {Token[]} tokens that it concerns
 * @param {() => Promise<Pick<Reply, 'outcome'>>} end
 */
export async function endWatched(scene, tokens, end) {
  const stop = watch(scene, tokens);
  await scene.wait(scene.between(0, 12));
  for (let attempt = 0; attempt < TRIES && !scene.isOver(); attempt += 1) {
    const { outcome } = await end();
    if (outcome !== 'unknown') break;
    await scene.wait(scene.between(10, 300));
  }
  await askEverywhere(scene, tokens);
  await scene.wait(scene.pick([0, 10, 60]));
  await stop();
}

/** What the holder of an ended session may still try, which must change nothing. @param {Scene} scene @param {Held} held */
export async function tryDead(scene, held) {
  const { ask } = scene;
  const tries = [
    () => ask.session(held.caller, scene.replica(), held.access),
    () => ask.list(held.caller, scene.replica(), held.access),
    () => ask.refresh(held.caller, scene.replica(), held.refresh),
    () => ask.logoutAll(held.caller, scene.replica(), held.access, { exceptCurrent: scene.chance(0.5) }),
    () => ask.endSession(held.caller, scene.replica(), held.access, held.sid),
    // These are taken all the same: whoever has had no answer asks again.
    () => ask.logout(held.caller, scene.replica(), scene.pick([held.access, held.refresh])),
    () => ask.revoke(held.caller, scene.replica(), scene.pick([held.access, held.refresh])),
  ];
  await Promise.all(tries.filter(() => scene.chance(0.5)).map((attempt) => attempt()));
}
