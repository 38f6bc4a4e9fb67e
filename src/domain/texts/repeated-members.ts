/** JSON that names a member twice: of two readers one may take the first, and the other the last (RFC 8259 section 4). */

/**
 * Whether an object in this JSON text, which has been parsed as `value`, names a member twice: then more members are
 * written than are left. Outside of strings, a colon stands once per member and nowhere else.
 */
export function repeatsMember(text: string, value: unknown): boolean {
  const written = countMembers(text);
  let left = 0;
  // A loop, not a recursion: 16 KiB can nest deeper than the stack. What is pushed meanwhile is visited too.
  const values = [value];
  for (const each of values) {
    if (typeof each !== 'object' || each === null) continue;
    const inner: unknown[] = Object.values(each);
    if (!Array.isArray(each)) left += inner.length;
    for (const one of inner) values.push(one);
  }
  return written !== left;
}

/** How many colons stand outside of strings. Jumps over these: a body may hold 1 MiB of them. */
function countMembers(json: string): number {
  let members = 0;
  let at = 0;
  for (let quote = json.indexOf('"'); quote !== -1; quote = json.indexOf('"', at)) {
    members += countColons(json, at, quote);
    at = endOfString(json, quote);
  }
  return members + countColons(json, at, json.length);
}

function countColons(json: string, from: number, to: number): number {
  let colons = 0;
  for (let at = from; at < to; at += 1) if (json[at] === ':') colons += 1;
  return colons;
}

/** @returns the place behind the quote that ends the string; a quote behind an odd number of backslashes does not */
function endOfString(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}
