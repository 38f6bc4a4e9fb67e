// Commits that do not end before a test lets them, as with a synchronous standby that is away.
import type { TestDatabase } from './database.js';

/** The advisory lock that such commits wait for: any number that nobody else takes. */
const LOCK = 5_301_992;

export interface StalledCommits {
  /** Lets them all end, and returns when they have. */
  end: () => Promise<void>;
}

/**
 * From now on no commit that writes to the table ends. A deferred trigger runs when the statement is over and its timeout
 * with it, but before the commit is done.
 */
export async function stallCommits({ admin }: TestDatabase, table: string): Promise<StalledCommits> {
  const holder = await admin.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [LOCK]);
  await holder.query(`
    CREATE OR REPLACE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(${LOCK}); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER stall AFTER INSERT OR UPDATE ON ${table} DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION stall()`);
  return {
    end: async () => {
      await holder.query('SELECT pg_advisory_unlock($1)', [LOCK]);
      // It waits for the transactions that have written to the table.
      await holder.query(`DROP TRIGGER stall ON ${table}`);
      holder.release();
    },
  };
}
