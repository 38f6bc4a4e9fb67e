/** The PostgreSQL driver, which connects as its configuration says and as nothing else does. */
import pg from 'pg';

/** A connection; what its configuration leaves open is open, whatever PG* variables the process was given. */
export class Client extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    forgetVariables();
    super(config);
  }
}

/** Several of them. */
export class Pool extends pg.Pool {
  constructor(config: pg.PoolConfig) {
    super({ ...config, Client });
  }
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
