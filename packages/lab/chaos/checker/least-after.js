// @ts-check
// One question in logarithmic time: of all things after a point, which has the least value, passing over one tag?

/**
 * @template T
 * @typedef {object} Item
 * @property {number} at
 * @property {number} value
 * @property {unknown} tag
 * @property {T} of what it stands for
 */

/**
 * The greatest before a point is the same question with both numbers negated.
 *
 * @template T
 * @param {Item<T>[]} items
 * @returns {(at: number, exceptTag?: unknown) => Item<T> | null} among items whose `at` is greater
 */
export function createLeastAfter(items) {
  const sorted = items.toSorted((a, b) => a.at - b.at);
  /** @type {(Item<T> | null)[]} */
  const least = new Array(sorted.length + 1).fill(null);
  /** The least of those that have another tag than the least. @type {(Item<T> | null)[]} */
  const next = new Array(sorted.length + 1).fill(null);
  for (let place = sorted.length - 1; place >= 0; place -= 1) {
    const item = /** @type {Item<T>} */ (sorted[place]);
    const [first, second] = merge(item, least[place + 1] ?? null, next[place + 1] ?? null);
    least[place] = first;
    next[place] = second;
  }
  return (at, exceptTag) => {
    const place = firstPlaceAfter(sorted, at);
    const found = least[place] ?? null;
    return found !== null && exceptTag !== undefined && found.tag === exceptTag
      ? (next[place] ?? null)
      : found;
  };
}

/**
 * @template T
 * @param {Item<T>} item
 * @param {Item<T> | null} least
 * @param {Item<T> | null} next
 * @returns {[Item<T>, Item<T> | null]}
 */
function merge(item, least, next) {
  if (least === null) return [item, null];
  if (item.value < least.value) return [item, least.tag === item.tag ? next : least];
  if (item.tag === least.tag) return [least, next];
  return [least, next === null || item.value < next.value ? item : next];
}

/**
 * @param {{ at: number }[]} sorted
 * @param {number} at
 */
function firstPlaceAfter(sorted, at) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {{ at: number }} */ (sorted[middle]).at > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
