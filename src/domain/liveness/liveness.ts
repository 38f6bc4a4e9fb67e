/** Which of these tokens are alive: many questions, one statement, one clock. */
import {
  DatabaseUnavailable,
  STATEMENT_DEADLINE_MS,
  type Database,
  type Query,
} from '../../database/prisma.js';
import type { Client, ClientCredentials } from '../clients.js';
import { AuthError, Reason } from '../errors.js';
import { isCurrent, type Memory, type ReplicaMemory, type Versions } from './replica-state.js';
import type { ReadToken } from '../tokens/reader.js';
import { parseJti } from '../tokens/claims.js';
import { firstRow } from '../service-row.js';

/** Whose session, which session, which lineage. */
interface Question {
  sub: string;
  sid: string;
  lineage: string;
}

/** What the primary said. `stands` tells that nothing has ended the token; its `exp` is yet to be held against `now`. */
interface Answer extends Versions {
  stands: boolean;
  /** The primary's time, seconds since 1970. */
  now: number;
}

/** A token as the primary knows it at the time of the request. */
export interface Judgement {
  /** Null for a text that we have not issued, or not under a key that still counts. */
  token: ReadToken | null;
  stands: boolean;
  now: number;
  /** Who asked, where credentials were given; null when they are wrong. */
  client: Client | null;
  /** What was remembered of keys and clients, confirmed by the same statement. */
  memory: Memory;
}

export interface Liveness {
  /**
   * Reads a token, and a client's credentials if there are any, and asks the primary about both.
   *
   * @throws {DatabaseUnavailable} when the primary cannot be asked
   */
  judge: (token: string | null, credentials?: ClientCredentials) => Promise<Judgement>;
}

interface Waiting {
  question: Question | null;
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

/** Keys or clients would have to change this often within one request before we say that we cannot know. */
const MAX_ATTEMPTS = 5;

export function createLiveness(database: Database, memory: ReplicaMemory): Liveness {
  const ask = createQuestions(database.prepared('liveness'));

  return {
    judge: async (text, credentials) => {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        const recalled = memory.recall();
        const token = text === null ? null : recalled.ring.read(text);
        const client = credentials === undefined ? null : recalled.clients.authenticate(credentials);
        const answer = await ask(token === null ? null : questionOf(token));
        if (isCurrent(recalled, answer))
          return { token, stands: answer.stands, now: answer.now, client, memory: recalled };
        await memory.catchUp(answer);
      }
      throw new AuthError('temporarily_unavailable', { cause: new Reason('keys or clients keep changing') });
    },
  };
}

function questionOf({ claims }: ReadToken): Question {
  return { sub: claims.sub, sid: claims.sid, lineage: parseJti(claims.jti).lineage };
}

/**
 * Gathers the questions of requests that arrive together into one statement. A question never joins a statement that
 * has been sent: its answer could be older than the request. While as many statements are under way as may be,
 * questions wait for the next one, so batches grow with the load and a lone request waits for nobody.
 */
function createQuestions(query: Query): (question: Question | null) => Promise<Answer> {
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
        query,
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

async function askPrimary(query: Query, questions: (Question | null)[]): Promise<(place: number) => Answer> {
  const asked: Question[] = [];
  const ordinals = questions.map((question) => (question === null ? 0 : asked.push(question)));
  // Settles every end against every use: sessions, epochs, revocations, versions and the clock are read in one
  // snapshot, taken after the requests arrived, so an end that was answered before is seen. A token stands only if
  // its rows are found; a row that is missing, for whatever reason, can only end it.
  // `IS TRUE` changes nothing but the plan: without it, sessions may be looked up by user, of whom one may have thousands.
  const rows = await query<Versions & { now: number; standing: number[] }>`
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
           service.keys_version AS "keysVersion",
           service.clients_version AS "clientsVersion",
           ARRAY(
             SELECT asked.ordinal::int4
             FROM unnest(
               ${arrayText(asked.map(({ sub }) => sub))}::uuid[],
               ${arrayText(asked.map(({ sid }) => sid))}::uuid[],
               ${arrayText(asked.map(({ lineage }) => lineage))}::uuid[]
             ) WITH ORDINALITY AS asked (sub, sid, lineage, ordinal)
             JOIN sessions ON sessions.id = asked.sid AND sessions.ended_at IS NULL
                          AND (sessions.user_id = asked.sub) IS TRUE
             JOIN users ON users.id = sessions.user_id AND users.disabled_at IS NULL
                       AND users.epoch + service.epoch = sessions.epoch
             WHERE NOT EXISTS (SELECT FROM revocations WHERE revocations.id IN (asked.sid, asked.lineage))
           ) AS standing
    FROM service`;
  const { standing, ...common } = firstRow(rows);
  const standingOrdinals = new Set(standing);
  const [yes, no] = [true, false].map((stands): Answer => ({ ...common, stands })) as [Answer, Answer];
  return (place) => (standingOrdinals.has(ordinals[place] ?? 0) ? yes : no);
}

/** An array as PostgreSQL writes it, of UUIDs that need no quoting: the driver's own way looks at every character. */
function arrayText(uuids: string[]): string {
  return `{${uuids.join()}}`;
}
