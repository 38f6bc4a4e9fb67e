// Genuine tokens that chance has damaged, and texts that it has made up: the same again for the same seed.
import type { HostileToken } from './hostile-token.js';
import { encode, split, type Stage, type Subject } from './stage.js';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';

/** A whole number from 0 up to, but without, the limit. */
type Draw = (limit: number) => number;

export function chanceTokens({ subjects }: Stage, seed: number, count: number): HostileToken[] {
  const draw = createDraw(seed);
  const genuine = new Set(subjects.map((subject) => subject.genuine));
  const tokens = Array.from({ length: count }, (_, at) => {
    const way = pick(WAYS, draw);
    return { name: `chance ${at} of seed ${seed}`, token: way(pick(subjects, draw), draw, subjects) };
  });
  return tokens.filter(({ token }) => !genuine.has(token));
}

const WAYS: ((subject: Subject, draw: Draw, others: Subject[]) => string)[] = [
  // One digit changed, added, removed, or moved.
  ({ genuine }, draw) => splice(genuine, draw(genuine.length), 1, digits(1, draw)),
  ({ genuine }, draw) => splice(genuine, draw(genuine.length), 0, digits(1, draw)),
  ({ genuine }, draw) => splice(genuine, draw(genuine.length), 1, ''),
  ({ genuine }, draw) => {
    const from = draw(genuine.length);
    return splice(splice(genuine, from, 1, ''), draw(genuine.length), 0, genuine.charAt(from));
  },
  // A piece removed, doubled, or replaced.
  ({ genuine }, draw) => splice(genuine, draw(genuine.length), 1 + draw(64), ''),
  ({ genuine }, draw) => {
    const from = draw(genuine.length);
    return splice(genuine, from, 0, genuine.slice(from, from + 1 + draw(64)));
  },
  ({ genuine }, draw) => splice(genuine, draw(genuine.length), 1 + draw(64), digits(1 + draw(64), draw)),
  // Segments of two tokens.
  (one, draw, others) => {
    const parts = [one, pick(others, draw), pick(others, draw)].map(({ genuine }) => split(genuine));
    return parts.map((part, place) => part[place]).join('.');
  },
  // Bits of the signature.
  ({ genuine }, draw) => {
    const [header, payload, signature] = split(genuine);
    const bytes = Buffer.from(signature, 'base64url');
    const at = draw(bytes.length);
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 + draw(255)), at);
    return `${header}.${payload}.${encode(bytes)}`;
  },
  // Bytes of header or claims, signed again.
  ({ header, claims, forge }, draw) => {
    const head = Buffer.from(JSON.stringify(header));
    head.writeUInt8(head.readUInt8(0) ^ (1 + draw(255)), 0);
    for (let times = draw(4); times > 0; times -= 1) head.writeUInt8(draw(256), draw(head.length));
    return forge(head, JSON.stringify(claims));
  },
  // Nothing of ours.
  (_, draw) => [draw(80), draw(400), draw(90)].map((length) => digits(length, draw)).join('.'),
  (_, draw) => Array.from({ length: 1 + draw(300) }, () => String.fromCharCode(draw(0xd800))).join(''),
];

function splice(text: string, at: number, removed: number, added: string): string {
  return text.slice(0, at) + added + text.slice(at + removed);
}

function digits(length: number, draw: Draw): string {
  return Array.from({ length }, () => DIGITS.charAt(draw(DIGITS.length))).join('');
}

function pick<T>(values: readonly T[], draw: Draw): T {
  const value = values[draw(values.length)];
  if (value === undefined) throw new Error('there is nothing to pick');
  return value;
}

/** mulberry32: small, and good enough to damage tokens. */
function createDraw(seed: number): Draw {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
