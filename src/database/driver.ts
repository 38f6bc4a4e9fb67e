/** The PostgreSQL driver, which connects as its configuration says and as nothing else does. */
import type { Socket } from 'node:net';
import { randomUUID } from 'node:crypto';
import pg from 'pg';

import { writeSettings, type Settings } from './settings.js';
import { readUrl } from './read-url.js';

interface OwnConfig {
  /** In place of those of every connection, or beside them. */
  settings?: Settings;
  /** Whether what the URL says has been read, and its `connectionString` is what is left for the driver. */
  isRead?: boolean;
}

/** A setting that nobody else has, by which a connection is recognised. */
const MARK = 'gatehouse.connection';
const marks = new WeakMap<pg.ClientBase, string>();

/**
 * A connection. What its configuration leaves open is open: PG* variables of the process do not count. PostgreSQL's settings
 * are ours: those of its server, database and role do not count.
 */
export class Client extends pg.Client {
  readonly #settings: { text: string; query_timeout: number | undefined };

  constructor(config: pg.ClientConfig & OwnConfig = {}) {
    forgetVariables();
    super(takeUrl(config));
    const mark = randomUUID();
    marks.set(this, mark);
    this.#settings = {
      text: writeSettings({ [MARK]: mark, ...timeoutsOf(config), ...config.settings }),
      query_timeout: config.connectionTimeoutMillis,
    };
    // A connection that breaks while nobody asks anything tells the next one who does; unheard, it would end the process.
    this.on('error', () => undefined);
  }

  override connect(): Promise<Client>;
  override connect(callback: ((error: Error) => void) | ((error: null, client: pg.Client) => void)): void;
  override connect(callback?: (error: never, client: pg.Client) => void): Promise<Client> | undefined {
    const connecting = this.#connect();
    if (callback === undefined) return connecting;
    const answer = callback as (error: unknown, client?: pg.Client) => void;
    connecting.then(
      () => {
        answer(null, this);
      },
      (error: unknown) => {
        answer(error);
      },
    );
    return undefined;
  }

  async #connect(): Promise<this> {
    await super.connect();
    try {
      await this.query(this.#settings);
      return this;
    } catch (error) {
      void this.end().catch(() => undefined);
      throw error;
    }
  }

  /** Breaks the connection at once: what is under way fails with this error, and no answer comes any more. */
  breakOff(error: Error): void {
    // The socket, which `pg` keeps to itself: its own `end` would let a statement begin before the goodbye.
    const { connection } = this as unknown as { connection: { stream: Socket } };
    connection.stream.destroy(error);
  }
}

/** Several of them. */
export class Pool extends pg.Pool {
  constructor(config: pg.PoolConfig & OwnConfig) {
    super({ ...takeUrl(config), Client });
  }
}

/** Whether this connection is still told what we told it: behind a pooler, the next statement may meet another one. */
export async function isItself(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ mark: string | null }>(
    `SELECT current_setting('${MARK}', true) AS mark`,
  );
  return rows[0]?.mark === marks.get(client);
}

/** Those that are the driver's to send. PostgreSQL then takes them for defaults, which ours would replace. */
function timeoutsOf({ statement_timeout: statement, lock_timeout: lock }: pg.ClientConfig): Settings {
  return {
    ...(typeof statement === 'number' && { statement_timeout: String(statement) }),
    ...(lock !== undefined && { lock_timeout: String(lock) }),
  };
}

/** Reads the URL and the files that it names: for a pool once, whose connections are made of what was read. */
function takeUrl<C extends pg.ClientConfig & OwnConfig>(config: C): C {
  const { connectionString, isRead = false } = config;
  if (isRead || connectionString === undefined) return config;
  return { ...config, ...readUrl(connectionString), isRead: true };
}

/**
 * `pg` takes from a PG* variable what a configuration leaves open, for each connection anew. An absent password, absent
 * options or the absence of TLS cannot be written into a configuration, so the variables have to go: all of them,
 * since the next version may read more. Nothing else in our processes reads them, and the programs that we start do
 * not get them.
 */
function forgetVariables(): void {
  for (const name of Object.keys(process.env)) {
    // Windows does not distinguish case.
    if (/^PG/i.test(name)) Reflect.deleteProperty(process.env, name);
  }
}
