// @ts-check
// Work that is done at certain times of each cycle of a run: what ends everything leaves the rest of the cycle to those that must live long.

/**
 * @param {Pick<import('./scene.js').Scene, 'now' | 'wait' | 'between' | 'isOver'>} scene
 * @param {{ at: number[], length: number }} cycle in seconds, give or take one; without times there is nothing to do
 * @param {() => Promise<unknown>} work
 */
export async function everyCycle(scene, { at, length }, work) {
  const startedAt = scene.now();
  for (let cycle = 0; at.length > 0 && !scene.isOver(); cycle += 1) {
    for (const second of at) {
      await scene.wait(startedAt + 1000 * (cycle * length + second + scene.between(-1, 1)) - scene.now());
      if (!scene.isOver()) await work();
    }
  }
}
