// A thousand hostile tokens and more, sent to every place that takes a token: none is believed, none is a 5xx.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isLong, runs } from '../support/hostile.js';
import { algorithmTokens } from './tokens/corpus-algorithms.js';
import { chanceTokens } from './tokens/corpus-chance.js';
import { backendTokens } from './tokens/corpus-backends.js';
import { claimTokens } from './tokens/corpus-claims.js';
import { encodingTokens, respelled } from './tokens/corpus-encodings.js';
import { headerTokens, typeTokens } from './tokens/corpus-headers.js';
import { placesFor, type HostileToken } from './tokens/hostile-token.js';
import {
  ALL_PLACES,
  dueAt,
  HEADER_PLACES,
  sendOverSocket,
  sendTo,
  TELLING_PLACES,
  type Place,
  type Verdict,
} from './tokens/places.js';
import {
  encode,
  logIn,
  openForeign,
  openStage,
  split,
  stateOf,
  subjectOf,
  type Stage,
  type Subject,
} from './tokens/stage.js';

/** Set it to the one that a failure has printed, to see the same tokens of chance again. */
const SEED = isLong ? randomInt(2 ** 31) : 20_260_722;

/** Failures in the report of a family. */
const SHOWN = 40;

/** Tokens under way at once. */
const AT_ONCE = 24;

/** Those that read it by one door; `/logout` takes a token that is over, too. */
const BEHIND_DOOR: Place[] = HEADER_PLACES.filter((place) => place !== '/logout');

const FAMILIES: [name: string, write: (stage: Stage) => HostileToken[]][] = [
  ['algorithms', algorithmTokens],
  ['headers', headerTokens],
  ['types', typeTokens],
  ['claims', claimTokens],
  ['backends', backendTokens],
  ['encodings', encodingTokens],
  [`chance, seed ${SEED}`, (stage) => chanceTokens(stage, SEED, runs(300, 20_000))],
];

let stage: Stage;
const counts = new Map<string, number>();
const texts = new Set<string>();

beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  const verdicts = Array.from(counts, ([verdict, count]) => `${count} ${verdict}`).join(', ');
  console.info(`hostile tokens: ${texts.size} at ${ALL_PLACES.length} places, seed ${SEED}: ${verdicts}`);
  await stage.close();
});

let turns = 0;

/** The places of one token. In the short form it goes to two of those behind one door in turn, so that each family meets each place. */
function nextPlaces(): Place[] {
  if (isLong) return ALL_PLACES;
  turns += 1;
  const inTurn = [0, 1].map((at) => BEHIND_DOOR[(turns * 2 + at) % BEHIND_DOOR.length]);
  return ALL_PLACES.filter((place) => !BEHIND_DOOR.includes(place) || inTurn.includes(place));
}

/** Asks one place after the other, and says where the answer is not the one that is due. */
async function failuresOf({ name, token, except = [] }: HostileToken): Promise<string[]> {
  const failures: string[] = [];
  for (const place of nextPlaces()) {
    if (except.includes(place)) continue;
    const verdict = await sendTo(stage, place, token);
    const word = verdict.replace(/:.*/s, '');
    counts.set(word, (counts.get(word) ?? 0) + 1);
    const due = dueAt(place, token, stage.client);
    if (verdict !== due) failures.push(`${name} at ${place}: ${verdict}, not ${due}: ${token.slice(0, 300)}`);
  }
  return failures;
}

async function failuresOfAll(tokens: HostileToken[]): Promise<string[]> {
  const failures: string[] = [];
  const queue = tokens.values();
  const work = async () => {
    for (const token of queue) failures.push(...(await failuresOf(token)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failures;
}

async function verdictsOf(token: string, places: readonly Place[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const place of places) verdicts.push(await sendTo(stage, place, token));
  return verdicts;
}

function find(subjects: Subject[], { kind, key }: Subject): Subject {
  const found = subjects.find((subject) => subject.kind === kind && subject.key === key);
  if (found === undefined) throw new Error('there is no such subject');
  return found;
}

describe('the harness', () => {
  it('sees each genuine token believed wherever its kind is taken, under each key', async () => {
    for (const subject of stage.subjects) {
      for (const place of placesFor(subject.kind)) {
        const { genuine } = find(await logIn(stage, stage.user), subject);
        const before = await stateOf(stage);
        const verdict = await sendTo(stage, place, genuine);
        // What an answer does not tell, the rows do.
        if (place === '/revoke') expect(await stateOf(stage), subject.label).not.toBe(before);
        else expect(verdict, `${subject.label} at ${place}`).toBe('accepted');
      }
    }
    // `/logout-all` has ended them, too.
    stage.subjects = await logIn(stage, stage.user);
    await stage.house.database.clock.advance(540);
    stage.now += 540;
  });

  it('sees those of a backend believed, before they are spoiled', async () => {
    stage.foreign = await openForeign(stage);
    for (const { kind, genuine } of stage.foreign) {
      const place = kind === 'access' ? '/introspect' : '/refresh body';
      expect(await sendTo(stage, place, genuine), kind).toBe('accepted');
    }
    stage.foreign = await openForeign(stage);
  });

  it('sees each genuine token refused wherever the other kind is taken', async () => {
    for (const { label, kind, genuine } of stage.subjects) {
      const others = TELLING_PLACES.filter((place) => !placesFor(kind).includes(place));
      expect(await verdictsOf(genuine, others), label).toEqual(others.map(() => 'refused'));
    }
  });
});

describe.each(FAMILIES)('%s', (family, write) => {
  it('are refused everywhere, and change nothing', { timeout: 600_000 }, async () => {
    const tokens = write(stage);
    for (const { token } of tokens) texts.add(token);
    expect(new Set(tokens.map(({ name }) => name)).size, 'each has a name of its own').toBe(tokens.length);
    const before = await stateOf(stage);
    const failures = await failuresOfAll(tokens);
    expect(failures.slice(0, SHOWN), `${failures.length} failures in ${family}, seed ${SEED}`).toEqual([]);
    expect(await stateOf(stage), family).toBe(before);
  });
});

describe('all of them', () => {
  it('are a thousand and more', () => {
    expect(texts.size).toBeGreaterThan(1000);
  });

  it('are refused over a real socket, too: every fiftieth of them that a header takes', async () => {
    const sample = [...texts].filter((text) => /^[\x21-\x7e\x80-\xff]{1,12000}$/.test(text));
    for (const text of sample.filter((_, at) => at % 50 === 0)) {
      expect(await sendOverSocket(stage, '/session', text), text).toBe('refused');
    }
    const genuine = stage.subjects.find(({ kind }) => kind === 'access')?.genuine ?? '';
    expect(await sendOverSocket(stage, '/session', genuine)).toBe('accepted');
  });

  it('made nobody look where their headers point to', async () => {
    expect(stage.bait.connections()).toBe(0);
    // It would have noticed.
    const { hostname, port } = new URL(stage.bait.url);
    await once(connect(Number(port), hostname), 'close');
    expect(stage.bait.connections()).toBe(1);
  });

  it('have left the one alone who is logged in', async () => {
    for (const { kind, genuine } of stage.subjects.filter((subject) => subject.kind === 'access')) {
      const [session] = await verdictsOf(genuine, ['/session']);
      expect(session, kind).toBe('accepted');
    }
    const refresh = stage.subjects.find(({ kind }) => kind === 'refresh');
    expect(await verdictsOf(refresh?.genuine ?? '', ['/refresh body'])).toEqual(['accepted']);
  });
});

describe('every spelling of one token', () => {
  const PLACES_OF = {
    access: ['/session', '/introspect'],
    refresh: ['/logout body', '/refresh body'],
  } as const;

  /** Tokens whose payloads leave 0, 2 and 4 bits of their last digit, so that each kind of rest is met. */
  function padded({ kind, key, claims }: Subject): Subject[] {
    if (kind === 'refresh') return [subjectOf(kind, key, claims)];
    return ['', 'a', 'aa'].map((more) =>
      subjectOf(kind, key, { ...claims, username: `${String(claims['username'])}${more}` }),
    );
  }

  it('has one verdict before and after revocation: the canonical one alone is believed, until then', async () => {
    for (const like of stage.subjects.filter(({ kind }) => kind === 'access')) {
      const tokens = padded(find(await logIn(stage, stage.user), like));
      expect(tokens.map(({ genuine }) => (split(genuine)[1].length * 6) % 8).sort()).toEqual([0, 2, 4]);
      const spellings = tokens.flatMap(respelled).map(([, token]) => token);
      expect(spellings.length).toBeGreaterThan(100);
      const ask = async (texts: string[]) =>
        (await Promise.all(texts.map((text) => verdictsOf(text, PLACES_OF.access)))).flat();
      const genuine = tokens.map((token) => token.genuine);
      const before = await ask(spellings);
      expect(new Set(await ask(genuine))).toEqual(new Set(['accepted']));
      await sendTo(stage, '/revoke', genuine[0] ?? '');
      expect(new Set(await ask(genuine))).toEqual(new Set(['refused']));
      expect(new Set(before)).toEqual(new Set(['refused']));
      expect(await ask(spellings)).toEqual(before);
    }
  });

  it('has one verdict for refresh tokens, too', async () => {
    for (const like of stage.subjects.filter(({ kind }) => kind === 'refresh')) {
      const { genuine } = find(await logIn(stage, stage.user), like);
      const spellings = respelled({ genuine }).map(([, token]) => token);
      const ask = async (texts: string[]) =>
        (await Promise.all(texts.map((text) => verdictsOf(text, PLACES_OF.refresh)))).flat();
      const before = await ask(spellings);
      expect(new Set(before)).toEqual(new Set(['refused']));
      expect(await verdictsOf(genuine, ['/refresh body'])).toEqual(['accepted']);
      await sendTo(stage, '/revoke', genuine);
      expect(await verdictsOf(genuine, ['/refresh body'])).toEqual(['refused']);
      expect(await ask(spellings)).toEqual(before);
    }
  });

  it('ends the twin of an ES256 signature with the token: both say the same at any time', async () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const like = stage.subjects.find(({ kind, key }) => kind === 'access' && key.algorithm === 'ES256');
    const { genuine } = find(await logIn(stage, stage.user), like as Subject);
    const [header, payload, signature] = split(genuine);
    const bytes = Buffer.from(signature, 'base64url');
    const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const other = Buffer.from(s.toString(16).padStart(64, '0'), 'hex');
    // SEC 1 section 4.1.4: (r, n - s) holds where (r, s) does.
    const twin = `${header}.${payload}.${encode(Buffer.concat([bytes.subarray(0, 32), other]))}`;
    for (const verdict of ['accepted', 'refused']) {
      expect(await verdictsOf(genuine, PLACES_OF.access)).toEqual([verdict, verdict]);
      expect(await verdictsOf(twin, PLACES_OF.access)).toEqual([verdict, verdict]);
      await sendTo(stage, '/revoke', twin);
    }
  });
});

it('a token from the future is alive: a promoted primary may be behind the one that issued it', async () => {
  const like = stage.subjects.find(({ kind }) => kind === 'access') as Subject;
  const { kind, key, claims } = find(await logIn(stage, stage.user), like);
  const ahead = { ...claims, iat: stage.now + 100, exp: stage.now + 700 };
  expect(await verdictsOf(subjectOf(kind, key, ahead).genuine, ['/session', '/introspect'])).toEqual([
    'accepted',
    'accepted',
  ]);
});
