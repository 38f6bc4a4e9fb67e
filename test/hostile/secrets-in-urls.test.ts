// No piece of a database password in any message, whatever the password does to the URL that holds it.
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it } from 'vitest';

import { ConfigError, readConfig } from '../../src/config/config.js';
import { explainDatabaseError } from '../../src/database/first-connection.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { describeFailure, writeFailure } from '../../src/domain/reports/failures.js';
import { explainFailure } from '../../src/process/explain.js';
import { gatehouse } from '../support/command.js';
import { runs } from '../support/hostile.js';
import { SECRET } from '../support/house.js';
import { createSecretWatch, type SecretWatch } from '../support/secret-watch.js';

/** Shorter pieces turn up by chance. */
const PIECE_CHARACTERS = 4;

/** None of ours: neither letters that our messages have side by side, nor digits, which ports and times have. */
const LETTERS = Array.from('qxjwkQXJWK');
const RESERVED = Array.from('/@#?:%[]&=+!$,;\\');

/** Digits in front pass for a port: what follows them is then read as a path. */
const password = fc
  .tuple(
    fc.constantFrom('', '47', '7979'),
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...LETTERS) },
        { weight: 1, arbitrary: fc.constantFrom(...RESERVED) },
      ),
      { minLength: 8, maxLength: 24 },
    ),
  )
  .map(([digits, rest]) => `${digits}${rest.join('')}`);

const place = fc.record({
  scheme: fc.constantFrom('postgresql', 'postgres'),
  user: fc.constantFrom('gatehouse', 'u'),
  host: fc.constantFrom('db.invalid', '127.0.0.1:1', '[::1]:1'),
  name: fc.constantFrom('auth', 'd'),
  query: fc.constantFrom('', '?sslmode=disable', '?application_name=a'),
});

type Place = typeof place extends fc.Arbitrary<infer Value> ? Value : never;

function write({ scheme, user, host, name, query }: Place, secret: string): string {
  return `${scheme}://${user}:${secret}@${host}/${name}${query}`;
}

/** What the driver makes of a URL. */
function readAsDriver(url: string): Record<'host' | 'database' | 'user' | 'password', string> {
  const { host, database = '', user = '', password: secret } = new pg.Client(url);
  return { host, database, user, password: secret ?? '' };
}

/** The same; where it makes nothing of it, all may be anywhere. */
function misread(url: string): Record<'host' | 'database' | 'user', string> {
  try {
    return readAsDriver(url);
  } catch {
    return { host: url, database: url, user: url };
  }
}

/** The errors of Node, pg, PostgreSQL and Prisma for this URL, with what they quote of it. */
function errorsOf(url: string): unknown[] {
  const { host, database, user } = misread(url);
  const withMembers = (message: string, members: object) => Object.assign(new Error(message), members);
  const fromServer = (code: string, message: string) =>
    Object.assign(new pg.DatabaseError(message, message.length, 'error'), { code, detail: url, hint: url });
  const lookUp = { syscall: 'getaddrinfo', hostname: host };
  return [
    withMembers(`getaddrinfo ENOTFOUND ${host}`, { code: 'ENOTFOUND', errno: -3008, ...lookUp }),
    withMembers(`getaddrinfo EAI_AGAIN ${host}`, { code: 'EAI_AGAIN', ...lookUp }),
    withMembers(`connect ECONNREFUSED ${host}`, { code: 'ECONNREFUSED', address: host, port: 1 }),
    withMembers(`connect ENOENT ${host}`, { code: 'ENOENT', address: host }),
    withMembers(`Hostname/IP does not match certificate's altnames: Host: ${host}.`, {
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      host,
    }),
    fromServer('3D000', `database "${database}" does not exist`),
    fromServer('28P01', `password authentication failed for user "${user}"`),
    fromServer('28000', `no pg_hba.conf entry for host "${host}", user "${user}", database "${database}"`),
    fromServer('08P01', `no such database: ${database}`),
    fromServer('XX000', url),
    withMembers(`Can't reach database server at \`${host}\``, { code: 'P1001', meta: { url } }),
    withMembers(`Database \`${database}\` does not exist`, { code: 'P1003' }),
    withMembers('Invalid URL', { code: 'ERR_INVALID_URL', input: url }),
    withMembers(url, { code: url }),
    new AggregateError([new Error(url)], url),
    new Error(url, { cause: new Error(database, { cause: url }) }),
    url,
  ];
}

function hearAll(watch: SecretWatch, url: string): void {
  for (const error of errorsOf(url)) {
    const explained = explainDatabaseError(error, url);
    const unavailable = new DatabaseUnavailable('no answer', 'database_slow', { cause: error });
    for (const said of [error, explained, unavailable]) {
      watch.hear(explainFailure(said), writeFailure(describeFailure(said)));
      watch.logger.error({ err: said }, 'failed');
      if (said instanceof Error) watch.logger.warn(said);
    }
  }
}

function isAccepted(watch: SecretWatch, environment: Record<string, string>): boolean {
  try {
    readConfig(environment);
    return true;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    watch.hear(explainFailure(error), error.stack ?? '');
    expect(error.problems).toEqual([expect.stringMatching(/^DATABASE_URL (holds|must be)/)]);
    return false;
  }
}

describe('a database password full of reserved characters', () => {
  it('is refused or read as it is meant, and no piece of it is said', async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(password, place, async (secret, where) => {
        const watch = createSecretWatch(undefined, PIECE_CHARACTERS);
        watch.keep('password', secret);
        const url = write(where, secret);
        const environment = { DATABASE_URL: url, AUTH_SECRET: SECRET };
        if (isAccepted(watch, environment)) {
          accepted += 1;
          const meant = write(where, encodeURIComponent(secret));
          expect(readAsDriver(url)).toEqual(readAsDriver(meant));
        }
        hearAll(watch, url);
        // Nobody listens there, and nobody has to look up a name.
        if (where.host !== 'db.invalid') {
          const { status, stdout, stderr } = await gatehouse(['users', 'list'], { environment });
          expect(status).toBe(1);
          watch.hear(stdout, stderr);
        }
        expect(watch.findLeaks()).toEqual([]);
      }),
      { numRuns: runs(60, 1000) },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  it('is taken when it is percent-encoded, and not said either', () => {
    fc.assert(
      fc.property(password, place, (secret, where) => {
        const watch = createSecretWatch(undefined, PIECE_CHARACTERS);
        watch.keep('password', secret);
        const url = write(where, encodeURIComponent(secret));
        expect(isAccepted(watch, { DATABASE_URL: url, AUTH_SECRET: SECRET })).toBe(true);
        expect(readAsDriver(url).password).toBe(secret);
        hearAll(watch, url);
        expect(watch.findLeaks()).toEqual([]);
      }),
      { numRuns: runs(20, 300) },
    );
  });

  it('is not said where a URL was put in the place of something else', () => {
    fc.assert(
      fc.property(password, place, (secret, where) => {
        const watch = createSecretWatch(undefined, PIECE_CHARACTERS);
        watch.keep('password', secret);
        const url = write(where, secret);
        for (const name of ['ISSUER', 'DATA_DIR', 'CORS_ORIGINS', 'PORT', 'AUTH_SECRET_FILE']) {
          try {
            readConfig({ [name]: url });
          } catch (error) {
            watch.hear(explainFailure(error));
          }
        }
        expect(() => readConfig({ DATA_DIR: url })).toThrow(/^DATA_DIR must be a directory, and holds a URL/);
        expect(watch.findLeaks()).toEqual([]);
      }),
      { numRuns: runs(20, 300) },
    );
  });
});
