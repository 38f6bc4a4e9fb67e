// The figures to reach, each with its target, and whether the results reach it. Pure.
import { count, minutes, over, perToken, withUnit } from './numbers.js';

/** Of verdicts with so many tokens in a request: how many times the limit's answers, with the same CPU and on one core. */
export const BATCH_TARGETS = { size: 128, perCpu: 12, perSecond: 7 };

/**
 * The figures to reach, by scenario. Each target stands here and nowhere else: `atLeast` or `atMost`; without either a
 * figure is told for what it explains.
 */
const FIGURES = [
  {
    of: 'introspect',
    list: ({ seen, cold, alone, signatures }) => [
      [
        '/introspect, 95 % seen: requests/s, of the limit',
        over(seen.seen, seen.limit, 'requestsPerSecond'),
        { atLeast: 0.75 },
      ],
      [
        '/introspect, 95 % seen: CPU per request, of the limit',
        over(seen.seen, seen.limit, 'cpuUs'),
        { atMost: 1.5 },
      ],
      [
        '/introspect, 95 % seen: requests/s, of oidc-provider',
        over(seen.seen, seen.oidcProvider, 'requestsPerSecond'),
        { atLeast: 4 },
      ],
      [
        '/introspect, 95 % seen: requests/s, of the naive service',
        over(seen.seen, seen.naive, 'requestsPerSecond'),
        { atLeast: 3 },
      ],
      [
        '/introspect, never seen: requests/s, of what checking signatures alone allows',
        cold.cold.requestsPerSecond / signatures.EdDSA.verifiesPerSecond,
        { atLeast: 0.8 },
      ],
      [
        '/introspect, never seen: requests/s, of the limit and a signature check in one process',
        cold.cold.requestsPerSecond /
          inTurn(cold.limit.requestsPerSecond, signatures.EdDSA.verifiesPerSecond),
      ],
      ...Object.entries(signatures).map(([algorithm, { verifiesPerSecond }]) => [
        `${algorithm}: signatures checked per second`,
        verifiesPerSecond,
      ]),
      ['One request alone: p50 above the limit’s', alone.allSeen.p50 - alone.limit.p50, { atMost: 1 }, 'ms'],
    ],
  },
  {
    of: 'batch',
    list: ({ seen, caller: { singly, joined } }) => {
      const together = perToken(seen.batches.find(({ size }) => size === BATCH_TARGETS.size));
      const what = `${BATCH_TARGETS.size} tokens in a request`;
      return [
        [
          `${what}: verdicts per CPU second, of the limit’s answers`,
          perCpu(together, seen.limit),
          { atLeast: BATCH_TARGETS.perCpu },
        ],
        [
          `${what}: verdicts per CPU second of server and PostgreSQL, of the limit’s answers`,
          seen.limit.cpuUs / (together.cpuUs + together.postgresCpuUs),
          { atLeast: 6 },
        ],
        [
          `${what}: verdicts/s, of the limit’s answers`,
          over(together, seen.limit, 'requestsPerSecond'),
          { atLeast: BATCH_TARGETS.perSecond },
        ],
        [`${what}: CPU of PostgreSQL for each`, together.postgresCpuUs, { atMost: 6 }, 'µs'],
        [
          'Through the package: verdicts per CPU second of caller and server, of single questions',
          perCpu(joined, singly),
          { atLeast: 3 },
        ],
        ['Through the package: p50, of single questions', over(joined, singly, 'p50'), { atMost: 1 }],
      ];
    },
  },
  {
    of: 'scale',
    list: ({ at }) => {
      const [least, most] = [at[0], at.at(-1)];
      const what = `${count(most.rows)} sessions and revocations, of ${count(least.rows)}`;
      return [
        [`${what}: requests/s`, most.ratio.requestsPerSecond, { atLeast: 0.95 }],
        [`${what}: p99`, most.ratio.p99, { atMost: 1.2 }],
      ];
    },
  },
  {
    of: 'storage',
    list: ({ at }) =>
      ['sessions', 'revocations'].flatMap((table) => {
        const [least, most] = [at[0], at.at(-1)];
        // Against a small table filled in turns with it: what else the machine does slows both down.
        const flatness = most.inserts[table].ratioToSmall / least.inserts[table].ratioToSmall;
        return [
          [
            `${table}: table and indexes, each row of ${count(most.rows)}`,
            most.bytesPerRow[table].total,
            {},
            'bytes',
          ],
          [
            `${table}: insert rate at ${count(most.rows)} rows, of ${count(least.rows)}`,
            flatness,
            { atLeast: 0.9 },
          ],
          [`${table}: rows inserted per second at ${count(most.rows)}`, most.inserts[table].rowsPerSecond],
        ];
      }),
  },
  {
    of: 'prune',
    list: ({ expired, rowsPerSecond, waitsMs, left, pruning, calm }) => [
      // Less than none, when the longest answer happened to come while nothing was pruned.
      [
        `Pruning ${count(expired)} rows under load: longest wait for it`,
        Math.max(0, waitsMs.worst),
        { atMost: 50 },
        'ms',
      ],
      ['Pruning under load: longest answer meanwhile', pruning.max, {}, 'ms'],
      ['Pruning under load: longest answer otherwise', calm.max, {}, 'ms'],
      ['Pruning under load: rows/s', rowsPerSecond, { atLeast: 20_000 }],
      ['Pruning under load: expired rows left', left, { atMost: 0 }],
      ['Pruning under load: errors', pruning.errors, { atMost: 0 }],
    ],
  },
  {
    of: 'events',
    list: ({ expired, left, sliceMs, perSecond, statements, firstAfterRestartMs, pruning, calm }) => [
      [`Pruning ${count(expired)} events: slowest statement`, statements.max, { atMost: 1000 }, 'ms'],
      ['Pruning events: statement, p50', statements.p50, {}, 'ms'],
      ['Pruning events: rows/s', statements.rowsPerSecond, { atLeast: 10_000 }],
      ['Pruning events: rows left', left, { atMost: 0 }],
      [
        'Pruning events: first statement of a replica that starts then',
        firstAfterRestartMs,
        { atMost: 1000 },
        'ms',
      ],
      ...['introspect', 'login'].flatMap((name) => [
        [
          `Pruning events: p50 of /${name}, of the same without`,
          over(pruning[name], calm[name], 'p50'),
          { atMost: 1.2 },
        ],
        [
          `Pruning events: p99 of /${name}, of the same without`,
          over(pruning[name], calm[name], 'p99'),
          { atMost: 1.5 },
        ],
        // On a machine that does other things, too, some are refused either way.
        ...Object.entries({ meanwhile: pruning, otherwise: calm }).map(([when, { [name]: figures }]) => [
          `Pruning events: /${name} not answered 200 ${when}`,
          (100 * figures.errors) / ((figures.slices * sliceMs * perSecond[name]) / 1000),
          {},
          '%',
        ]),
      ]),
    ],
  },
  {
    of: 'storm',
    list: ({ median, rounds }) => [
      ['Login storm: p99 of /introspect, of the same without', median.p99Ratio, { atMost: 3 }],
      ['Login storm: errors of /introspect', median.errors, { atMost: 0 }],
      ['Login storm: logins/s, of argon2 alone', median.loginsRatio, { atLeast: 0.9 }],
      ['Login storm: longest time to a 503', median.refusalMax, { atMost: 100 }, 'ms'],
      ['Login storm: logins answered neither 200 nor 503', sum(rounds.map(countOthers)), { atMost: 0 }],
    ],
  },
  {
    of: 'memory',
    list: ({ durationMs, maxMb, maxOnceMb, firstMb, lastMb, slopeMbPerMinute, cores, errors }) => [
      [`Resident memory in ${minutes(durationMs)} of full load: most`, maxMb, { atMost: 200 }, 'MB'],
      ['Resident memory: most, with the text that processes share counted once', maxOnceMb ?? NaN, {}, 'MB'],
      ['Resident memory: last minute, of the first', lastMb / firstMb, { atMost: 1.1 }],
      ['Resident memory: slope', slopeMbPerMinute, {}, 'MB/min'],
      ['Resident memory: CPU used meanwhile', cores, {}, 'cores'],
      ['Resident memory: errors meanwhile', errors, { atMost: 0 }],
    ],
  },
  {
    of: 'start',
    list: ({ rows, empty, external, embeddedFirst, embeddedRestarted }) => [
      [`Start until ready: a database of ${count(rows)} sessions`, external.readyMs, { atMost: 1500 }, 'ms'],
      ['Start until ready: a database without sessions', empty.readyMs, {}, 'ms'],
      ['Start until ready: embedded, restarted', embeddedRestarted.readyMs, { atMost: 3000 }, 'ms'],
      ['Start until ready: embedded, made anew', embeddedFirst.readyMs, {}, 'ms'],
      ['Start until ready: resident memory', external.residentMb, {}, 'MB'],
    ],
  },
  {
    of: 'endpoints',
    list: ({ refresh: { limit, gatehouse, signs } }) => [
      [
        '/refresh: requests/s, of one UPDATE and two signatures in one process',
        gatehouse.requestsPerSecond /
          inTurn(limit.requestsPerSecond, signs.signsPerSecond / signs.perRefresh),
      ],
    ],
  },
  {
    of: 'workers',
    list: ({ ratio }) => [
      ['Two processes: CPU per request, of one', ratio.cpuUs, { atMost: 1.1 }],
      ['Two processes: requests/s, of one', ratio.requestsPerSecond],
    ],
  },
];

/** How many more are done with the same CPU. */
export function perCpu(figures, base) {
  return base.cpuUs / figures.cpuUs;
}

/** Nothing where a scenario was not measured, or by a version of it that told something else. */
export function readFrom(scenario, list) {
  if (scenario === undefined) return [];
  try {
    return list(scenario);
  } catch (error) {
    if (error instanceof TypeError) return [];
    throw error;
  }
}

/** @returns {{what, measured, wanted, isReached}[]}: texts, and whether it is reached; null where nothing was to be */
export function figuresOf({ scenarios }) {
  return FIGURES.flatMap(({ of, list }) => readFrom(scenarios[of], list))
    .filter(([, value]) => Number.isFinite(value))
    .map(([what, value, target = {}, unit = '']) => ({
      what,
      measured: withUnit(value, unit),
      wanted: wantedText(target, unit),
      isReached: isReached(value, target),
    }));
}

function isReached(value, { atLeast, atMost }) {
  if (atLeast !== undefined) return value >= atLeast;
  return atMost === undefined ? null : value <= atMost;
}

function wantedText({ atLeast, atMost }, unit) {
  if (atLeast !== undefined) return `≥ ${withUnit(atLeast, unit)}`;
  if (atMost === undefined) return '';
  return atMost === 0 ? '0' : `≤ ${withUnit(atMost, unit)}`;
}

/** How often two things are done in a second that one process does after each other. */
function inTurn(perSecond, otherPerSecond) {
  return 1 / (1 / perSecond + 1 / otherPerSecond);
}

function countOthers({ loginAnswers }) {
  return sum(
    Object.entries(loginAnswers).map(([answer, many]) => (['200', '503'].includes(answer) ? 0 : many)),
  );
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
