// @ts-check
// Mutants of how a token is judged: verdicts that are kept, borrowed, made up, or reached by the wrong clock.
import { AGEING, KEEPING, LEAVING, LEAVING_IN_BATCHES, RETIRING } from './profiles.js';

/** @typedef {import('../mutants.js').Mutant} Mutant */

/** @type {Mutant} */
export const keptVerdict = {
  name: 'kept-verdict',
  sentence: 'A verdict is cached for 50 ms.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `    const { ask, askMany } = createQuestions(database);`,
      replace: `    const { ask, askMany } = createQuestions(database);
    const verdicts = new Map();
    async function askOrRecall(askTogether, texts, questions) {
        const kept = verdicts.get(texts.join());
        if (kept !== undefined && performance.now() < kept.until)
            return kept.answers;
        const answers = await askTogether(questions);
        verdicts.set(texts.join(), { answers, until: performance.now() + 50 });
        return answers;
    }`,
    },
    {
      file: 'domain/liveness/liveness.js',
      find: `await askTogether(tokens.map((token) => token?.question ?? null))`,
      replace: `await askOrRecall(askTogether, texts, tokens.map((token) => token?.question ?? null))`,
    },
  ],
  hunt: { profile: LEAVING },
};

/** @type {Mutant} */
export const lateJoiner = {
  name: 'late-joiner',
  sentence: 'A question joins the same question of another request although that one was sent already.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `    const { ask, askMany } = createQuestions(database);`,
      replace: `    const { ask: askAnew, askMany } = createQuestions(database);
    const underWay = new Map();
    function ask(questions) {
        const key = JSON.stringify(questions);
        const same = underWay.get(key) ?? askAnew(questions).finally(() => underWay.delete(key));
        underWay.set(key, same);
        return same;
    }`,
    },
  ],
  hunt: { profile: LEAVING, faults: ['slow-liveness'] },
};

/** @type {Mutant} */
export const batchLateJoiner = {
  name: 'batch-late-joiner',
  sentence:
    'A question of a batch joins the same question of another batch although that one was sent already.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `    const { ask, askMany } = createQuestions(database);`,
      replace: `    const { ask, askMany: askAnew } = createQuestions(database);
    const underWay = new Map();
    async function askMany(questions) {
        const keys = questions.map((question) => JSON.stringify(question));
        const missing = [...new Set(keys)].filter((key) => !underWay.has(key));
        const own = askAnew(missing.map((key) => JSON.parse(key)));
        for (const [place, key] of missing.entries())
            underWay.set(key, own.then(({ stands }) => stands[place]).finally(() => underWay.delete(key)));
        const [answers, ...stands] = await Promise.all([own, ...keys.map((key) => underWay.get(key))]);
        return { ...answers, stands };
    }`,
    },
  ],
  hunt: { profile: LEAVING_IN_BATCHES, faults: ['slow-liveness'] },
};

/** @type {Mutant} */
export const batchMisplaced = {
  name: 'batch-misplaced',
  sentence:
    'Of batches that share a statement each is answered from one place behind the beginning of the one before.',
  patches: [
    {
      file: 'domain/liveness/questions.js',
      find: `(place += questions.length)`,
      replace: `place++ + questions.length`,
    },
  ],
  hunt: { profile: LEAVING_IN_BATCHES, faults: ['slow-liveness'] },
};

/** @type {Mutant} */
export const errorMeansDead = {
  name: 'error-means-dead',
  sentence: 'A database that cannot be asked is answered as `active: false`.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `            const answers = await askTogether(tokens.map((token) => token?.question ?? null));`,
      replace: `            const answers = await askTogether(tokens.map((token) => token?.question ?? null)).catch(() => ({
                stands: [],
                now: Date.now() / 1000,
                keysVersion: snapshot.ring.version,
                clientsVersion: snapshot.clients.version,
            }));`,
    },
  ],
  hunt: { profile: KEEPING, faults: ['black-hole', 'cut'] },
};

/** @type {Mutant} */
export const clockOfTheReplica = {
  name: 'clock-of-the-replica',
  sentence: 'Whether a token has expired is judged by the clock of the replica.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `isExpired(token.claims, now)`,
      replace: `isExpired(token.claims, Date.now() / 1000)`,
    },
  ],
  hunt: { profile: KEEPING, shiftMs: 600_000 },
};

/** @type {Mutant} */
export const claimsOfTheSession = {
  name: 'claims-of-the-session',
  sentence: 'Verified claims are remembered by session: another access token of it is told with those.',
  patches: [
    {
      file: 'domain/tokens/reader.js',
      find: `            remembered.set(own.slice(-KEY_CHARACTERS), { text: own, read });
        }
        return read;`,
      replace: `            remembered.set(own.slice(-KEY_CHARACTERS), { text: own, read });
        }
        if (read?.kind !== 'access')
            return read;
        const first = remembered.get(read.claims.sid)?.read ?? read;
        remembered.set(read.claims.sid, { text: '', read: first });
        return first;`,
    },
  ],
  hunt: { profile: KEEPING },
};

/** @type {Mutant} */
export const listOfEveryone = {
  name: 'list-of-everyone',
  sentence: '`GET /sessions` lists the sessions of all users.',
  patches: [
    {
      file: 'domain/sessions/listed.js',
      find: `    WHERE users.id = \${userId}::uuid`,
      replace: `    WHERE \${userId}::uuid IS NOT NULL`,
    },
  ],
  hunt: { profile: KEEPING },
};

/** @type {Mutant} */
export const graceThatAuthorises = {
  name: 'grace-that-authorises',
  sentence: 'A token in its grace is taken for a live one.',
  patches: [
    {
      file: 'domain/gatehouse.js',
      find: `createJudges(reader, state)`,
      replace: `createJudges(reader, state, rules.reissueGraceSeconds)`,
    },
    {
      file: 'domain/liveness/liveness.js',
      find: `export function createJudges(database, state) {`,
      replace: `export function createJudges(database, state, graceSeconds) {`,
    },
    {
      file: 'domain/liveness/liveness.js',
      find: `live: findLive(token, stands, now)`,
      replace: `live: findLive(token, stands, now - graceSeconds)`,
    },
  ],
  hunt: { profile: AGEING, count: 24, leastSeconds: 30 },
};

/** @type {Mutant} */
export const reissueOfTheDead = {
  name: 'reissue-of-the-dead',
  sentence: 'A token is reissued for its signature and times alone, ended or not.',
  patches: [
    {
      file: 'domain/liveness/liveness.js',
      find: `    if (!stands || token?.kind !== 'access')`,
      replace: `    if (token?.kind !== 'access')`,
    },
  ],
  hunt: { profile: AGEING, count: 24, leastSeconds: 15 },
};

/** @type {Mutant} */
export const polledKeys = {
  name: 'polled-keys',
  sentence: 'A replica learns of new and of retired keys by asking once a second.',
  patches: [
    {
      file: 'domain/liveness/replica-state.js',
      find: `    return snapshot.ring.version === seen.keysVersion && snapshot.clients.version === seen.clientsVersion;`,
      replace: `    return snapshot.clients.version === seen.clientsVersion;`,
    },
    {
      file: 'domain/liveness/replica-state.js',
      find: `    return {
        current: () => snapshot,`,
      replace: `    setInterval(async () => {
        snapshot = { ...snapshot, ring: await load.ring().catch(() => snapshot.ring) };
    }, 1000).unref();
    return {
        current: () => snapshot,`,
    },
  ],
  hunt: { profile: RETIRING },
};
