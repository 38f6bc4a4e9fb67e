/** Questions about tokens to the primary: those that arrive together share one statement, one snapshot and one clock. */
import type { RowOf } from '../../database/columns.js';
import { STATEMENT_DEADLINE_MS, type Ask, type Database } from '../../database/prisma.js';
import { DatabaseUnavailable } from '../../database/unavailable.js';
import { firstRow } from '../service/service-row.js';
import { REVOKED_OF_GIVEN, STANDS_WITH_TOKEN_OF_GIVEN } from '../sessions/standing.js';
import type { Asked } from '../tokens/asked.js';
import { told } from '../reports/told.js';
import { VERSION_COLUMNS, type Versions } from './replica-state.js';

/** What the primary said of questions that were asked together. */
export interface Answers extends Versions {
  /** Of each question, in their order: whether nothing has ended the token. Its `exp` is yet to be compared with `now`. */
  stands: readonly boolean[];
  /** The primary's time, seconds since 1970. */
  now: number;
}

/** Asks about tokens; null stands for a text that is none of ours, which stands in no case. */
export type AskTogether = (questions: readonly (Asked | null)[]) => Promise<Answers>;

export interface Questions {
  /** What one request wants to know of one token: it goes first. */
  ask: AskTogether;
  /** What one request wants to know of many, no more than half a statement holds: one answers all of it. */
  askMany: AskTogether;
}

const ANSWER_COLUMNS = { now: 'float8', ...VERSION_COLUMNS, standing: 'text' } as const;

/** Why a question was given up that has waited for too long. */
const OVERDUE = 'too many questions wait for the database';

interface Waiting {
  questions: readonly (Asked | null)[];
  /** When they were asked, by this process's monotonic clock, in milliseconds. */
  since: number;
  resolve: (answers: Answers) => void;
  reject: (error: unknown) => void;
}

/**
 * Questions in one statement, and statements under way at once. From one to four made no difference at 16 connections; at
 * 128 and more, two leave larger batches than four, and one would leave all waiting for a statement that is held up.
 */
const MOST_SINGLES = 512;
const MAX_STATEMENTS = 2;

/** Half of a statement, so that neither a flood of batches nor one of single questions keeps the other kind waiting. */
const MOST_OF_BATCHES = 512;

/**
 * Gathers the questions of requests that arrive together into one statement. A question never joins a statement that
 * has been sent: its answer could be older than the request. While as many statements are under way as may be,
 * questions wait for the next one, so statements grow with the load and a lone request waits for nobody. Single questions go
 * into the next one however many batches came before them.
 */
export function createQuestions(database: Database): Questions {
  const ask = database.prepared('liveness', ANSWER_COLUMNS);
  const singles = createLine(MOST_SINGLES);
  const batches = createLine(MOST_OF_BATCHES);
  let underWay = 0;
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled || (singles.isEmpty() && batches.isEmpty()) || underWay >= MAX_STATEMENTS) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      const together = [...singles.take(), ...batches.take()];
      if (together.length === 0) return;
      underWay += 1;
      void send(together).finally(() => {
        underWay -= 1;
        schedule();
      });
      schedule();
    });
  }

  async function send(together: Waiting[]): Promise<void> {
    const questions = together.flatMap((each) => each.questions);
    const sentAtMs = performance.now();
    const tellEnd = (isAnswered: boolean) => {
      const seconds = (performance.now() - sentAtMs) / 1000;
      told.statement.tell({ questions: questions.length, seconds, askers: together, isAnswered });
    };
    try {
      const { stands, ...common } = await askPrimary(ask, questions);
      tellEnd(true);
      let place = 0;
      for (const { questions, resolve } of together)
        resolve({ ...common, stands: stands.slice(place, (place += questions.length)) });
    } catch (error) {
      tellEnd(false);
      for (const { reject } of together) reject(error);
    }
  }

  const joining =
    (line: Line): AskTogether =>
    (questions) =>
      new Promise((resolve, reject) => {
        const newcomer = { questions, since: performance.now(), resolve, reject };
        told.question.tell(newcomer);
        line.join(newcomer);
        schedule();
      });

  return { ask: joining(singles), askMany: joining(batches) };
}

interface Line {
  isEmpty: () => boolean;
  join: (newcomer: Waiting) => void;
  /** Takes out those who came first, as far as their questions fit into a statement. */
  take: () => Waiting[];
}

function createLine(mostQuestions: number): Line {
  let waiting: Waiting[] = [];

  /** Who has waited this long has been answered already: asking for them would only keep others waiting. */
  function giveUpOverdue(): void {
    const oldest = performance.now() - STATEMENT_DEADLINE_MS;
    const firstInTime = waiting.findIndex(({ since }) => since > oldest);
    const overdue = waiting.splice(0, firstInTime === -1 ? waiting.length : firstInTime);
    for (const { reject } of overdue) reject(new DatabaseUnavailable(OVERDUE, 'database_slow'));
  }

  return {
    isEmpty: () => waiting.length === 0,
    join: (newcomer) => waiting.push(newcomer),
    take: () => {
      giveUpOverdue();
      let room = mostQuestions;
      const firstWithout = waiting.findIndex(({ questions }) => (room -= questions.length) < 0);
      const taken = firstWithout === -1 ? waiting : waiting.slice(0, firstWithout);
      waiting = waiting.slice(taken.length);
      return taken;
    },
  };
}

async function askPrimary(
  ask: Ask<RowOf<typeof ANSWER_COLUMNS>>,
  questions: (Asked | null)[],
): Promise<Answers> {
  const asked = questions.filter((question) => question !== null);
  // Settles every end against every use: sessions, epochs, revocations, versions and the clock are read in one
  // snapshot, taken after the requests arrived, so an end that was answered before is seen. A token stands only if
  // its rows are found; a row that is missing, for whatever reason, can only end it.
  // `IS TRUE` changes nothing but the plan: without it, sessions may be looked up by user, of whom one may have thousands.
  const rows = await ask`
    WITH given AS NOT MATERIALIZED (
      SELECT ${arrayText(asked.map(({ userId }) => userId))}::uuid[] AS user_ids,
             ${arrayText(asked.map(({ sid }) => sid))}::uuid[] AS sids,
             ${arrayText(asked.map(({ lineage }) => lineage))}::uuid[] AS lineages,
             ${arrayText(asked.map(({ ver }) => ver ?? 'NULL'))}::int8[] AS vers
    ), revoked AS MATERIALIZED ${REVOKED_OF_GIVEN}
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
           service.keys_version AS "keysVersion",
           service.clients_version AS "clientsVersion",
           ARRAY(
             SELECT asked.ordinal::int4
             FROM given, unnest(given.user_ids, given.sids, given.lineages, given.vers)
               WITH ORDINALITY AS asked (user_id, sid, lineage, ver, ordinal)
             JOIN sessions ON sessions.id = asked.sid AND (sessions.user_id = asked.user_id) IS TRUE
             JOIN users ON ${STANDS_WITH_TOKEN_OF_GIVEN}
           )::text AS standing
    FROM service`;
  const { standing, ...common } = firstRow(rows);
  // The driver's own way to read an array costs several times as much. Ordinals begin at 1, and "{}" leaves a 0.
  const doesStand = new Uint8Array(asked.length + 1);
  for (const ordinal of standing.slice(1, -1).split(',')) doesStand[Number(ordinal)] = 1;
  let ordinal = 0;
  const stands = questions.map((question) => question !== null && doesStand[(ordinal += 1)] === 1);
  return { ...common, stands };
}

/** An array as PostgreSQL writes it, of what needs no quoting: the driver's own way looks at every character. */
function arrayText(elements: (string | number)[]): string {
  return `{${elements.join()}}`;
}
