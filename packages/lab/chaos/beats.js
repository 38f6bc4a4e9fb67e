// @ts-check
// The beats of the service, each of them: a trigger notes it in a table of the lab's own, which commits together with it.
import { queryPatiently } from './patient-query.js';

/**
 * One beat, as it was committed; times in milliseconds since 1970 by the database's clock.
 *
 * @typedef {object} Beat
 * @property {number} notedAt when the row was written. It was committed later, but before the next one was written, which
 *   waited for the row
 * @property {number} at `beaten_at`
 * @property {number | null} since `answering_since`
 * @property {number | null} until `answered_until`
 */

/**
 * From now on each beat in this database is noted, beside the one that the migration made, and in each copy of the database.
 *
 * @param {{ query: (text: string) => Promise<unknown> }} admin
 */
export async function noteBeats({ query }) {
  // The replicas may not write here: the function does, in the name of the superuser who makes it.
  await query(`
    CREATE SCHEMA IF NOT EXISTS lab;
    CREATE TABLE lab.beats (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      beaten_at timestamptz NOT NULL,
      answering_since timestamptz,
      answered_until timestamptz
    );
    CREATE FUNCTION lab.note_beat() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      INSERT INTO lab.beats (beaten_at, answering_since, answered_until)
      VALUES (NEW.beaten_at, NEW.answering_since, NEW.answered_until);
      RETURN NULL;
    END $$;
    INSERT INTO lab.beats (beaten_at, answering_since, answered_until)
    SELECT beaten_at, answering_since, answered_until FROM public.beat;
    CREATE TRIGGER note_beat AFTER INSERT OR UPDATE ON public.beat FOR EACH ROW EXECUTE FUNCTION lab.note_beat();
  `);
}

/**
 * All beats until now, in the order of their commits. A database that is away is waited for.
 *
 * @param {string} url of a superuser
 * @returns {Promise<Beat[]>}
 */
export async function readBeats(url) {
  return await queryPatiently(
    url,
    `SELECT extract(epoch FROM noted_at)::float8 * 1000 AS "notedAt",
            extract(epoch FROM beaten_at)::float8 * 1000 AS at,
            extract(epoch FROM answering_since)::float8 * 1000 AS since,
            extract(epoch FROM answered_until)::float8 * 1000 AS until
     FROM lab.beats ORDER BY id`,
  );
}
