// @ts-check
// The events of the service (docs/events.md), each with the request that it tells of: every request bears a number of its own, its mark,
// over HTTP as its user agent, on the command line as the account of its actor.
//
// A trigger notes the user agent of each event beside its id, and commits together with it: the service forgets user agents of users
// who are deleted. Whatever else an event says is read from the service's own table, and an event that is missing there was lost.
import { queryPatiently } from './patient-query.js';

/**
 * @typedef {object} NotedEvent
 * @property {string} id
 * @property {number | null} mark null where no request of the run has caused it
 * @property {string | null} type null where the service's table has no such event any more
 * @property {string | null} outcome
 * @property {string | null} actor
 * @property {string | null} userId
 * @property {string | null} sessionId
 * @property {string | null} reason
 * @property {Record<string, unknown> | null} detail
 */

/** Who prepares a run: adds clients and users. */
export const SETTING_UP = 'cli:setting-up';

const AGENT = 'chaos/';
const ACTOR = 'cli:chaos-';
const MARKS = [AGENT, ACTOR].map((prefix) => new RegExp(`^${prefix}(\\d+)$`));

/** The user agent of a request. @param {number} mark */
export const agentOf = (mark) => `${AGENT}${mark}`;

/** The actor of a command. @param {number} mark */
export const actorOf = (mark) => `${ACTOR}${mark}`;

/**
 * From now on each event in this database is noted, and in each copy of the database.
 *
 * @param {{ query: (text: string) => Promise<unknown> }} admin
 */
export async function noteEvents({ query }) {
  // The replicas may not write here: the function does, in the name of the superuser who makes it.
  await query(`
    CREATE SCHEMA IF NOT EXISTS lab;
    CREATE TABLE lab.events (id uuid PRIMARY KEY, user_agent text);
    CREATE FUNCTION lab.note_event() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      INSERT INTO lab.events VALUES (NEW.id, NEW.user_agent);
      RETURN NULL;
    END $$;
    CREATE TRIGGER note_event AFTER INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION lab.note_event();
  `);
}

/**
 * All events until now. A database that is away is waited for.
 *
 * @param {string} url of a superuser
 * @returns {Promise<NotedEvent[]>}
 */
export async function readEvents(url) {
  const rows = await queryPatiently(
    url,
    `SELECT noted.id, noted.user_agent AS "userAgent", type, outcome, actor, user_id AS "userId", session_id AS "sessionId", reason, detail
     FROM lab.events AS noted LEFT JOIN public.events USING (id) ORDER BY id`,
  );
  return rows.map(({ userAgent, ...event }) => ({
    ...event,
    mark: markOf(userAgent) ?? markOf(event.actor),
  }));
}

/** @param {string | null} text */
function markOf(text) {
  const [found] = MARKS.flatMap((pattern) => pattern.exec(text ?? '')?.[1] ?? []);
  return found === undefined ? null : Number(found);
}
