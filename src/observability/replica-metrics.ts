/** The metrics of one process that serves. Those of several are added up. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

import type { Database } from '../database/prisma.js';
import type { PasswordHasher } from '../domain/passwords/hasher.js';
import { kindOfActor } from '../domain/sessions/actors.js';
import { ENDS } from '../domain/sessions/endings.js';
import { ASKED, LOSABLE_EVENTS, REFRESH_VERDICTS, told } from '../domain/reports/told.js';
import { UNAVAILABILITIES } from '../domain/reports/unavailability.js';
import { LOGIN_OUTCOMES, type Meter } from '../http/meter.js';
import { reportOf, type Report } from './adding-up.js';
import { createAnswers } from './answers.js';
import { createCounts, createHistogram, type Count, type Described, type Labels } from './plain.js';

export interface ReplicaMetrics {
  registry: Registry;
  /** For the HTTP server: counts its answers. */
  meter: Meter;
  report: () => Promise<Report>;
  /** Stops listening to the domain. */
  stop: () => void;
}

/** Of statements: a busy replica puts up to 512 single questions and 512 of batches into one. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** In seconds. A statement is answered within 2 s, or not at all. */
const TIMES = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];

const KINDS = ['access', 'refresh', 'none'] as const;
const RESULTS = ['live', 'dead', 'unavailable'] as const;

export function createReplicaMetrics({
  hasher,
  pools,
}: {
  hasher: Pick<PasswordHasher, 'load'>;
  /** Connections by what they are for. */
  pools: Record<'work' | 'liveness', Pick<Database, 'connections'>>;
}): ReplicaMetrics {
  const registry = new Registry();
  const stops: (() => void)[] = [];
  const registers = [registry];
  const count = <L extends Labels>(described: Described, series: readonly L[]) =>
    createCounts(registry, described, series);
  const gauge = <L extends string>(
    described: Described,
    labelNames: L[],
    collect: (this: Gauge<L>) => void,
  ) => new Gauge({ ...described, labelNames, registers, collect });

  const answers = createAnswers(registry);
  const logins = count(
    { name: 'gatehouse_logins_total', help: 'Answers of POST /login.' },
    LOGIN_OUTCOMES.map((outcome) => ({ outcome })),
  );
  const unavailable = count(
    { name: 'gatehouse_unavailable_total', help: 'Requests that were answered 503, by what was missing.' },
    UNAVAILABILITIES.map((reason) => ({ reason })),
  );

  const refreshes = count(
    {
      name: 'gatehouse_refreshes_total',
      help: 'Refresh tokens, by what the row of the session said of them.',
    },
    REFRESH_VERDICTS.map((verdict) => ({ verdict })),
  );
  stops.push(told.refresh.listen(({ verdict }) => add(refreshes, (labels) => labels.verdict === verdict)));

  const judgements = count(
    {
      name: 'gatehouse_judgements_total',
      help: 'Tokens that somebody asked about, and what they were told.',
    },
    KINDS.flatMap((kind) => RESULTS.flatMap((result) => ASKED.map((how) => ({ kind, result, how })))),
  );
  stops.push(
    told.judgement.listen(({ kind, result, how }) => {
      // Told with each introspection, so found by its place.
      const ofKind = KINDS.indexOf(kind) * RESULTS.length + RESULTS.indexOf(result);
      const count = judgements[ofKind * ASKED.length + ASKED.indexOf(how)];
      if (count !== undefined) count.value += 1;
    }),
  );

  const reissues = count(
    { name: 'gatehouse_reissues_total', help: 'Successors of access tokens near their end.' },
    [{}],
  );
  stops.push(told.reissue.listen(() => add(reissues, () => true)));

  const ends = count(
    {
      name: 'gatehouse_ends_total',
      help: 'Ends of a session, of an access token, or of all that a user has.',
    },
    Object.entries(ENDS).flatMap(([reason, kinds]) => kinds.map((actor_kind) => ({ reason, actor_kind }))),
  );
  stops.push(
    told.end.listen(({ reason, actor }) =>
      add(ends, (labels) => labels.reason === reason && labels.actor_kind === kindOfActor(actor)),
    ),
  );

  const lost = count(
    { name: 'gatehouse_events_lost_total', help: 'Events that could not be written.' },
    LOSABLE_EVENTS.map((type) => ({ type })),
  );
  stops.push(told.unrecorded.listen((of) => add(lost, ({ type }) => type === of.type, of.events)));

  const observeSize = createHistogram(
    registry,
    { name: 'gatehouse_liveness_batch_size', help: 'Questions about tokens in one statement.' },
    SIZES,
  )({});
  const observeSeconds = createHistogram(
    registry,
    { name: 'gatehouse_liveness_statement_duration_seconds', help: 'Time of such a statement.' },
    TIMES,
  )({});
  stops.push(
    told.statement.listen(({ questions, seconds, isAnswered }) => {
      if (!isAnswered) return;
      observeSize(questions);
      observeSeconds(seconds);
    }),
  );

  gauge(
    { name: 'gatehouse_hashing_passwords', help: 'Passwords that are hashed now, or wait for it.' },
    ['state'],
    function () {
      const { running, waiting } = hasher.load();
      this.set({ state: 'running' }, running);
      this.set({ state: 'waiting' }, waiting);
    },
  );
  gauge(
    { name: 'gatehouse_hashing_admitted', help: 'Logins and changes of password that were let in to hash.' },
    [],
    function () {
      this.set(hasher.load().admitted);
    },
  );
  gauge(
    {
      name: 'gatehouse_hashing_limit',
      help: 'How many may be let in to hash at once, as fast as it goes now.',
    },
    [],
    function () {
      this.set(hasher.load().limit);
    },
  );
  gauge(
    { name: 'gatehouse_database_connections', help: 'Open connections to PostgreSQL.' },
    ['pool', 'state'],
    function () {
      for (const [pool, { connections }] of Object.entries(pools)) {
        const { open, idle } = connections();
        this.set({ pool, state: 'busy' }, open - idle);
        this.set({ pool, state: 'idle' }, idle);
      }
    },
  );
  gauge(
    { name: 'gatehouse_database_waiting', help: 'Statements that wait for a connection.' },
    ['pool'],
    function () {
      for (const [pool, { connections }] of Object.entries(pools)) this.set({ pool }, connections().waiting);
    },
  );

  const tidied = new Gauge({
    name: 'gatehouse_housekeeping_last_success_timestamp_seconds',
    help: 'When housekeeping was last done; 0 for not yet.',
    aggregator: 'max',
    registers,
  });
  stops.push(told.tidied.listen(() => tidied.setToCurrentTime()));

  collectDefaultMetrics({ register: registry });

  return {
    registry,
    meter: {
      ...answers,
      loggedIn: (outcome) => add(logins, (labels) => labels.outcome === outcome),
      unavailable: (why) => add(unavailable, ({ reason }) => reason === why),
    },
    report: () => reportOf(registry),
    stop: () => stops.forEach((stop) => stop()),
  };
}

function add<L extends Labels>(counts: Count<L>[], isMeant: (labels: L) => boolean, by = 1): void {
  const count = counts.find(({ labels }) => isMeant(labels));
  if (count !== undefined) count.value += by;
}
