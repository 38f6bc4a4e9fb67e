// @ts-check
// What everything here needs that draws SVG by hand: places rounded to a tenth, scales, and text that is no markup.

/** @param {number} value */
export function round(value) {
  return Math.round(10 * value) / 10;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} begin where `from` is drawn
 * @param {number} end where `to` is drawn
 * @returns {(value: number) => number}
 */
export function scaleOf(from, to, begin, end) {
  return (value) => round(begin + ((value - from) / (to - from || 1)) * (end - begin));
}

/** @param {string} text */
export function escapeText(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
