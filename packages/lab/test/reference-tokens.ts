// What the clients of a reference run hold: tokens, and since when they know them.
import { createRecorder, type Row, type Rules, type Token } from '../chaos/history.js';
import type { ClaimsPair } from './reference-service.js';

export type HeldTokens = ReturnType<typeof createHeldTokens>;

const segmentOf = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

const HEADERS = {
  'at+jwt': segmentOf({ alg: 'EdDSA', typ: 'at+jwt' }),
  'rt+jwt': segmentOf({ alg: 'EdDSA', typ: 'rt+jwt' }),
};

export function createHeldTokens(random: () => number, rules: Rules) {
  const recorder = createRecorder({ seed: 1, rules });
  const tokens: Token[] = [];
  /** By the ids of tokens; infinite while the service alone knows of one. */
  const knownAt: number[] = [];
  /** What administrators were told: endings, and rows by their ids. */
  const endings = new Map<string, number>();
  const rows = new Map<string, { row: Row; at: number }>();
  /** What takes back all that was learned since something began that nobody may learn of; null otherwise. */
  let takesBack: (() => void)[] | null = null;

  const pick = <T>(things: readonly T[]): T | undefined => things[Math.floor(random() * things.length)];
  const isKnown = ({ id }: Token, moment: number) => (knownAt[id] ?? Infinity) < moment;

  function tokenOf(claims: object, typ: keyof typeof HEADERS): Token {
    const token = recorder.token(`${HEADERS[typ]}.${segmentOf(claims)}.signature`);
    tokens[token.id] = token;
    knownAt[token.id] ??= Infinity;
    return token;
  }

  function learn(claims: object | null, typ: keyof typeof HEADERS, end: number): number | null {
    if (claims === null) return null;
    const { id } = tokenOf(claims, typ);
    const before = knownAt[id] ?? Infinity;
    takesBack?.push(() => (knownAt[id] = before));
    knownAt[id] = Math.min(before, end);
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
    const most = random() < 0.7 ? 8 : Infinity;
    const known: Token[] = [];
    // From the end: there are thousands, and most often the last few are enough.
    for (let id = tokens.length - 1; id >= 0 && known.length < most; id -= 1) {
      const token = tokens[id] as Token;
      if ((type ?? token.type) === token.type && isKnown(token, start) && isFit(token)) known.push(token);
    }
    return pick(known.reverse());
  }

  /** Nobody learns what came of it. */
  function hide(act: () => void): void {
    const hidden: (() => void)[] = [];
    takesBack = hidden;
    act();
    takesBack = null;
    for (const takeBack of hidden.reverse()) takeBack();
  }

  function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
    const before = map.get(key);
    takesBack?.push(() => (before === undefined ? map.delete(key) : map.set(key, before)));
    map.set(key, value);
  }

  return {
    tokens,
    pick,
    learn,
    learnPair,
    pickToken,
    hide,
    learnEnding: (ending: string, at: number) => keep(endings, ending, at),
    learnRow: (row: Row, at: number) => keep(rows, row.id, { row, at }),
    pickEnding: (start: number) => pick([...endings].filter(([, at]) => at < start).slice(-3))?.[0],
    pickRow: (start: number) => pick([...rows.values()].filter(({ at }) => at < start).slice(-4))?.row,
    /** Any session that is heard of by then. */
    pickSid: (moment: number, isFit: (token: Token) => boolean = () => true, drawn = random()) => {
      const known = tokens.filter((token) => isKnown(token, moment) && isFit(token));
      return known[Math.floor(drawn * known.length)]?.sid;
    },
  };
}
