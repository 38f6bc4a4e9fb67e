// What the clients of a reference run hold: tokens, and since when they know them.
import { createRecorder, type Row, type Rules, type Token } from '../chaos/history.js';
import type { ClaimsPair } from './reference-service.js';

export type HeldTokens = ReturnType<typeof createHeldTokens>;

export function createHeldTokens(random: () => number, rules: Rules) {
  const recorder = createRecorder({ seed: 1, rules });
  const tokens: Token[] = [];
  const knownAt = new Map<number, number>();
  /** What administrators were told: endings, and rows by their ids. */
  const endings = new Map<string, number>();
  const rows = new Map<string, { row: Row; at: number }>();

  const pick = <T>(things: readonly T[]): T | undefined => things[Math.floor(random() * things.length)];
  const isKnown = ({ id }: Token, moment: number) => (knownAt.get(id) ?? Infinity) < moment;

  function tokenOf(claims: object, typ: string): Token {
    const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = recorder.token(`${segment({ alg: 'EdDSA', typ })}.${segment(claims)}.signature`);
    tokens[token.id] = token;
    return token;
  }

  function learn(claims: object | null, typ: string, end: number): number | null {
    if (claims === null) return null;
    const { id } = tokenOf(claims, typ);
    knownAt.set(id, Math.min(knownAt.get(id) ?? Infinity, end));
    return id;
  }

  function learnPair({ access, refresh }: ClaimsPair, end: number) {
    return {
      sid: access.sid,
      access: learn(access, 'at+jwt', end) as number,
      refresh: learn(refresh, 'rt+jwt', end) as number,
    };
  }

  /** Latest ones first: dead tokens soon outnumber those that live. */
  function pickToken(
    start: number,
    type?: Token['type'],
    isFit: (token: Token) => boolean = () => true,
  ): Token | undefined {
    const known = tokens.filter(
      (token) => (type ?? token.type) === token.type && isKnown(token, start) && isFit(token),
    );
    return pick(known.slice(random() < 0.7 ? -8 : 0));
  }

  /** Nobody learns what came of it. */
  function hide(act: () => void): void {
    const restores = [keep(knownAt), keep(endings), keep(rows)];
    act();
    for (const restore of restores) restore();
  }

  function keep<K, V>(map: Map<K, V>): () => void {
    const before = [...map];
    return () => {
      map.clear();
      for (const [key, value] of before) map.set(key, value);
    };
  }

  return {
    tokens,
    pick,
    learn,
    learnPair,
    pickToken,
    hide,
    learnEnding: (ending: string, at: number) => void endings.set(ending, at),
    learnRow: (row: Row, at: number) => void rows.set(row.id, { row, at }),
    pickEnding: (start: number) => pick([...endings].filter(([, at]) => at < start).slice(-3))?.[0],
    pickRow: (start: number) => pick([...rows.values()].filter(({ at }) => at < start).slice(-4))?.row,
    /** Any session that is heard of by then. */
    pickSid: (moment: number, isFit: (token: Token) => boolean = () => true) =>
      pick(tokens.filter((token) => isKnown(token, moment) && isFit(token)))?.sid,
  };
}
