/** A visit to the database that the service uses, whether the service runs or not. */
import { resolve } from 'node:path';

import type { Config } from '../config/config.js';
import { enterEmbedded, hasDatabase } from '../database/embedded.js';
import { listPending, migrate } from '../database/migrate.js';
import { Refusal } from './output.js';

export interface VisitOptions {
  /** Whether an embedded database may come into being: for what people do first. Others would only find it empty. */
  mayCreate?: boolean;
  /** Whether migrations may be pending; otherwise the embedded database gets them at once. */
  mayBeOutdated?: boolean;
}

interface Visitor {
  tell: (line: string) => unknown;
  beforeSignals: (leave: () => Promise<unknown>) => () => void;
}

/**
 * Lends the database's address for the length of `work`.
 *
 * The embedded database belongs to this installation alone, so pending migrations are applied to it as the service
 * does when it starts. Any other may be shared with replicas that are older than we: only `gatehouse migrate` and a
 * starting service change it.
 *
 * @throws {Refusal} when there is no such database yet, or migrations are pending
 * @throws {StartError} when it cannot be used
 */
export async function visit<T>(
  config: Pick<Config, 'databaseUrl' | 'dataDir'>,
  options: VisitOptions & Visitor,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const { databaseUrl, dataDir } = config;
  if (databaseUrl === null) return await visitEmbedded(dataDir, options, work);
  if (options.mayBeOutdated !== true) await refuseOutdated(databaseUrl);
  return await work(databaseUrl);
}

async function refuseOutdated(url: string): Promise<void> {
  const pending = await listPending(url);
  if (pending.length === 0) return;
  throw new Refusal(`the database lacks migrations (${pending.join(', ')}): run \`gatehouse migrate\` first`);
}

async function visitEmbedded<T>(
  dataDir: string,
  { mayCreate = false, mayBeOutdated = false, tell, beforeSignals }: VisitOptions & Visitor,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const place = resolve(dataDir);
  const isNew = !(await hasDatabase(place));
  if (isNew && !mayCreate) {
    throw new Refusal(
      `there is no database in ${place} yet: start the service or run \`gatehouse migrate\` to make one, ` +
        'or set DATA_DIR or DATABASE_URL to where yours is',
    );
  }
  const interruption = new AbortController();
  const { signal } = interruption;
  const entering = enterEmbedded(dataDir, 'visitor', signal);
  // PostgreSQL does not end with us: it is told to.
  const forget = beforeSignals(async () => {
    interruption.abort();
    await (await entering).leave();
  });
  try {
    const embedded = await entering;
    try {
      signal.throwIfAborted();
      if (isNew) tell(`made a new database in ${place}`);
      if (!mayBeOutdated) await migrate(embedded.url);
      signal.throwIfAborted();
      return await work(embedded.url);
    } finally {
      if (!signal.aborted) await embedded.leave();
    }
  } catch (error) {
    // The signal has taken the database away and is about to end the process: of what broke there is nothing to say.
    if (signal.aborted) return await new Promise<never>(() => undefined);
    throw error;
  } finally {
    forget();
  }
}
