// What was measured, as Markdown tables: the figures to reach, and every endpoint beside its limit. Pure.
import { figuresOf, readFrom } from './figures.js';
import { count, number, over, perToken } from './numbers.js';

/** What stands beside what: [title, [[name, figures]…]], the first of each being what the others are held against. */
const CONTESTS = [
  [
    'introspect',
    '/introspect, seen before',
    ({ seen }) => [
      ['limit', seen.limit],
      ['Gatehouse, 95 % seen', seen.seen],
      ['Gatehouse, all seen', seen.allSeen],
      ['naive', seen.naive],
      ['oidc-provider', seen.oidcProvider],
    ],
  ],
  [
    'introspect',
    '/introspect, never seen',
    ({ cold }) => [
      ['limit', cold.limit],
      ['Gatehouse', cold.cold],
    ],
  ],
  [
    'introspect',
    '/introspect, one at a time',
    ({ alone }) => [
      ['limit', alone.limit],
      ['Gatehouse', alone.allSeen],
    ],
  ],
  [
    'batch',
    '/introspect/batch, each token',
    ({ seen }) => [
      ['limit', seen.limit],
      ['Gatehouse, /introspect', seen.single],
      ...seen.batches.map((figures) => [`Gatehouse, ${figures.size} together`, perToken(figures)]),
    ],
  ],
  [
    'batch',
    'The package, CPU of its caller too',
    ({ caller }) => [
      ['asking singly', caller.singly],
      ['joining questions', caller.joined],
    ],
  ],
  [
    'endpoints',
    '/session',
    ({ session }) => [
      ['limit', session.limit],
      ['Gatehouse', session.gatehouse],
    ],
  ],
  [
    'endpoints',
    '/refresh',
    ({ refresh }) => [
      ['one UPDATE', refresh.limit],
      ['Gatehouse', refresh.gatehouse],
    ],
  ],
  [
    'endpoints',
    '/logout',
    ({ logout }) => [
      ['one UPDATE', logout.limit],
      ['Gatehouse', logout.gatehouse],
    ],
  ],
  [
    'login',
    '/login',
    ({ argon2, login }) => [
      ['argon2 alone', argon2],
      ['Gatehouse', login],
    ],
  ],
  [
    'workers',
    '/introspect, load on the same cores',
    ({ one, two }) => [
      ['one process', one],
      ['two processes', two],
    ],
  ],
];

/** Everything that was measured, in Markdown. */
export function reportText(results) {
  const figures = figuresOf(results);
  const endpoints = endpointsOf(results);
  const parts = [describe(results)];
  if (results.quick)
    parts.push(
      '**A quick run**: smaller and shorter than what the targets are about, and no evidence for them.',
    );
  if (figures.length > 0) {
    const rows = figures.map(({ what, measured, wanted, isReached }) => [
      what,
      measured,
      wanted,
      isReached === null ? '' : isReached ? 'yes' : '**no**',
    ]);
    parts.push(tableText(['Figure', 'Measured >', 'Wanted >', 'Reached'], rows));
  }
  if (endpoints.length > 0) {
    parts.push(
      'Of the server processes; a ratio is to the first line of the same endpoint. `PG` is the CPU of PostgreSQL. Of requests about many tokens, waiting times are those of whole requests, and all else is told of each token.',
      tableText(
        [
          'Endpoint',
          'Server',
          'Requests/s >',
          '× >',
          'p50 ms >',
          'p99 ms >',
          'CPU µs >',
          '× >',
          'PG µs >',
          'MB >',
          'Errors >',
        ],
        endpoints,
      ),
    );
  }
  for (const { rows, isWarm, operations } of readFrom(results.scenarios.cost, ({ at }) => at)) {
    const pages = isWarm
      ? 'all pages written since the last checkpoint'
      : 'right after a checkpoint, pages that nobody has written since';
    parts.push(
      `What a request costs, with ${count(rows)} sessions and as many revocations, ${pages}. Commits that wait for the disk, rows, bytes of the write-ahead log, and whole pages in it.`,
      tableText(
        ['Request', 'Statements >', 'Commits >', 'Rows >', 'WAL bytes >', 'Pages >', 'CPU µs >', 'PG µs >'],
        operations.map((each) => [
          each.name,
          each.statements.toFixed(1),
          each.durableCommits.toFixed(1),
          each.rowsWritten.toFixed(1),
          count(each.walBytes),
          each.walImages.toFixed(1),
          count(each.cpuUs),
          count(each.postgresCpuUs),
        ]),
      ),
    );
  }
  for (const [name, message] of Object.entries(results.errors)) parts.push(`\`${name}\` failed: ${message}`);
  return `${parts.join('\n\n')}\n`;
}

function endpointsOf({ scenarios }) {
  return CONTESTS.flatMap(([of, endpoint, list]) => {
    const servers = readFrom(scenarios[of], list).filter(([, figures]) => figures !== undefined);
    const first = servers[0]?.[1];
    return servers.map(([name, figures], at) => [
      at === 0 ? endpoint : '',
      name,
      count(figures.requestsPerSecond),
      at === 0 ? '' : number(over(figures, first, 'requestsPerSecond')),
      number(figures.p50),
      number(figures.p99),
      number(figures.cpuUs),
      at === 0 ? '' : number(over(figures, first, 'cpuUs')),
      number(figures.postgresCpuUs),
      number(figures.residentMb),
      String(figures.errors),
    ]);
  });
}

function describe({ takenAt, machine, versions }) {
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const pinned = machine.pinned
    ? 'servers on one core, load and PostgreSQL on another'
    : 'not pinned to cores';
  return [
    `${takenAt.slice(0, 10)}, ${machine.cpu}, ${machine.memoryGib} GiB, ${machine.system}; ${pinned}.`,
    `${parts.join(', ')}.`,
  ].join('\n');
}

/** A table as oxfmt would write it; a header that ends in ` >` is of a column of numbers. */
function tableText(headers, rows) {
  const isRight = headers.map((header) => header.endsWith(' >'));
  const names = headers.map((header) => header.replace(/ >$/, ''));
  const widths = names.map((name, at) =>
    Math.max(3, ...[name, ...rows.map((row) => row[at])].map(({ length }) => length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, at) => (isRight[at] ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))).join(' | ')} |`;
  const rule = widths.map((width, at) => (isRight[at] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(names), line(rule), ...rows.map(line)].join('\n');
}
