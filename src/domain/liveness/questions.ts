/** Questions about tokens to the primary: those that arrive together share one statement, one snapshot and one clock. */
import type { RowOf } from '../../database/columns.js';
import {
  DatabaseUnavailable,
  STATEMENT_DEADLINE_MS,
  type Ask,
  type Database,
} from '../../database/prisma.js';
import { firstRow } from '../service-row.js';
import { STANDS_WITH_TOKEN, type Asked } from '../sessions/standing.js';
import { VERSION_COLUMNS, type Versions } from './replica-state.js';

/** What the primary said. */
export interface Answer extends Versions {
  /** Whether nothing has ended the token. Its `exp` is yet to be compared with `now`. */
  stands: boolean;
  /** The primary's time, seconds since 1970. */
  now: number;
}

const ANSWER_COLUMNS = { now: 'float8', ...VERSION_COLUMNS, standing: 'int4[]' } as const;

interface Waiting {
  question: Asked | null;
  /** When it was asked, by this process's monotonic clock, in milliseconds. */
  since: number;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

/**
 * Questions in one statement, and statements under way at once. From one to four made no difference at 16 connections; at
 * 128 and more, two leave larger batches than four, and one would leave all waiting for a statement that is held up.
 */
const MAX_QUESTIONS = 512;
const MAX_STATEMENTS = 2;

/**
 * Gathers the questions of requests that arrive together into one statement. A question never joins a statement that
 * has been sent: its answer could be older than the request. While as many statements are under way as may be,
 * questions wait for the next one, so batches grow with the load and a lone request waits for nobody.
 */
export function createQuestions(database: Database): (question: Asked | null) => Promise<Answer> {
  const ask = database.prepared('liveness', ANSWER_COLUMNS);
  let waiting: Waiting[] = [];
  let underWay = 0;
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled || waiting.length === 0 || underWay >= MAX_STATEMENTS) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      giveUpOverdue();
      if (waiting.length === 0) return;
      const batch = waiting.slice(0, MAX_QUESTIONS);
      waiting = waiting.slice(MAX_QUESTIONS);
      underWay += 1;
      void send(batch).finally(() => {
        underWay -= 1;
        schedule();
      });
      schedule();
    });
  }

  /** Whoever waited this long has been answered already: asking for them would only keep others waiting. */
  function giveUpOverdue(): void {
    const oldest = performance.now() - STATEMENT_DEADLINE_MS;
    const firstInTime = waiting.findIndex(({ since }) => since > oldest);
    const overdue = waiting.splice(0, firstInTime === -1 ? waiting.length : firstInTime);
    for (const { reject } of overdue)
      reject(new DatabaseUnavailable('too many questions wait for the database'));
  }

  async function send(batch: Waiting[]): Promise<void> {
    try {
      const answers = await askPrimary(
        ask,
        batch.map(({ question }) => question),
      );
      batch.forEach(({ resolve }, place) => resolve(answers(place)));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return (question) =>
    new Promise((resolve, reject) => {
      waiting.push({ question, since: performance.now(), resolve, reject });
      schedule();
    });
}

async function askPrimary(
  ask: Ask<RowOf<typeof ANSWER_COLUMNS>>,
  questions: (Asked | null)[],
): Promise<(place: number) => Answer> {
  const asked: Asked[] = [];
  const ordinals = questions.map((question) => (question === null ? 0 : asked.push(question)));
  // Settles every end against every use: sessions, epochs, revocations, versions and the clock are read in one
  // snapshot, taken after the requests arrived, so an end that was answered before is seen. A token stands only if
  // its rows are found; a row that is missing, for whatever reason, can only end it.
  // `IS TRUE` changes nothing but the plan: without it, sessions may be looked up by user, of whom one may have thousands.
  const rows = await ask`
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
           service.keys_version AS "keysVersion",
           service.clients_version AS "clientsVersion",
           ARRAY(
             SELECT asked.ordinal::int4
             FROM unnest(
               ${arrayText(asked.map(({ sub }) => sub))}::uuid[],
               ${arrayText(asked.map(({ sid }) => sid))}::uuid[],
               ${arrayText(asked.map(({ lineage }) => lineage))}::uuid[],
               ${arrayText(asked.map(({ ver }) => ver ?? 'NULL'))}::int8[]
             ) WITH ORDINALITY AS asked (sub, sid, lineage, ver, ordinal)
             JOIN sessions ON sessions.id = asked.sid AND (sessions.user_id = asked.sub) IS TRUE
             JOIN users ON ${STANDS_WITH_TOKEN}
           ) AS standing
    FROM service`;
  const { standing, ...common } = firstRow(rows);
  const standingOrdinals = new Set(standing);
  const [yes, no] = [true, false].map((stands): Answer => ({ ...common, stands })) as [Answer, Answer];
  return (place) => (standingOrdinals.has(ordinals[place] ?? 0) ? yes : no);
}

/** An array as PostgreSQL writes it, of what needs no quoting: the driver's own way looks at every character. */
function arrayText(elements: (string | number)[]): string {
  return `{${elements.join()}}`;
}
