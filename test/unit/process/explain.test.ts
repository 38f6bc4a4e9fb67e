// What the start of the service and the command line say when they fail: what is wrong, where, and what to do next.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';

import { Refusal } from '../../../src/cli/output.js';
import { ConfigError } from '../../../src/config/config.js';
import { explainDatabaseError } from '../../../src/database/first-connection.js';
import { DatabaseUnavailable } from '../../../src/database/unavailable.js';
import { STALLED } from '../../../src/database/stalled-commits.js';
import { FOREIGN } from '../../../src/database/verify-connection.js';
import { StartError } from '../../../src/database/start-error.js';
import { WrongSecret } from '../../../src/domain/errors.js';
import { explainListening, METRICS_SETTING, tryPort } from '../../../src/http/server/port.js';
import { explainFailure, writeExplanation } from '../../../src/process/explain.js';

const DATABASE = 'postgresql://gatehouse:hush@127.0.0.1:5432/accounts';

/** An error of somebody else's, with words that nobody may read. */
const foreign = (members: object) => Object.assign(new Error('hush'), members);

describe('a failure', () => {
  it.each<[string, unknown, RegExp]>([
    ['of the start, in its own words', new StartError('No. Do this.'), /^No\. Do this\.$/],
    ['of a command, in its own words', new Refusal('no: do this'), /^no: do this$/],
    [
      'of settings, each of them',
      new ConfigError(['A is b', 'C is d']),
      /see \.env\.example:\n {2}A is b\n {2}C is d$/,
    ],
    [
      'of the secret',
      new WrongSecret('hush'),
      /AUTH_SECRET does not open .*: set .*`gatehouse keys reencrypt`; if it is lost, see `gatehouse keys reset --help`$/,
    ],
    [
      'of the database',
      new DatabaseUnavailable('no answer within 2000 ms', 'database_slow'),
      /asked: no answer within 2000 ms; check/,
    ],
    [
      'of a database in another cluster, in its own words',
      new DatabaseUnavailable(FOREIGN, 'wrong_database'),
      /^the database is in another cluster .*`gatehouse database accept`$/,
    ],
    [
      'of a standby that confirms no commit, in its own words',
      new DatabaseUnavailable(STALLED, 'commits_wait'),
      /^commits wait for a synchronous standby.*docs\/failover\.md\)$/,
    ],
    [
      'that nobody foresaw, by its place',
      new RangeError('hush'),
      /not foreseen; report .*:\nRangeError\n {4}at /,
    ],
    ['that is no error', 'hush', /not foreseen; report .*:\nstring$/],
  ])('%s', (_what, error, words) => {
    expect(explainFailure(error)).toMatch(words);
    expect(explainFailure(error)).not.toContain('hush');
    expect(writeExplanation(error)).toBe(`gatehouse: ${explainFailure(error)}\n`);
  });

  it('is the same after a worker has told it to its primary', () => {
    const told = explainFailure(new ConfigError(['A is b']));
    expect(explainFailure(new StartError(told))).toBe(told);
  });
});

describe('an error of the database', () => {
  it.each([
    ['ECONNREFUSED', /cannot be reached\. Check host and port/],
    ['ENOTFOUND', /cannot be found: its host name is unknown\. Check/],
    ['28P01', /refuses the user or password\. Check/],
    ['28000', /does not let this user in like this\. Check the user .* and sslmode/],
    ['3D000', /does not exist\. Create it/],
    ['53300', /has no connection left\. Raise/],
    ['XX000', /cannot be used \(XX000\)\. Check DATABASE_URL\.$/],
  ])('%s names the database, and what to do', (code, words) => {
    const explained = explainFailure(explainDatabaseError(foreign({ code }), DATABASE));
    expect(explained).toMatch(words);
    expect(explained).toContain('accounts at 127.0.0.1:5432');
    expect(explained).not.toContain('hush');
  });
});

describe('a port on which nobody can listen', () => {
  const listening = (members: object) => explainFailure(explainListening(foreign(members), 80));

  it.each([
    ['listen', 'EADDRINUSE', /^port 80 is taken: stop what listens there, or set PORT$/],
    ['bind', 'EADDRINUSE', /^port 80 is taken/],
    ['listen', 'EACCES', /^this user may not listen on port 80: set PORT above 1023$/],
    ['listen', 'EADDRNOTAVAIL', /^HOST is not an address of this machine \(EADDRNOTAVAIL\): set it/],
    ['getaddrinfo', 'ENOTFOUND', /^HOST is not an address of this machine \(ENOTFOUND\): set it/],
    ['listen', 'EMFILE', /^the service cannot listen on port 80 \(EMFILE\): set HOST and PORT/],
  ])('%s %s', (syscall, code, words) => {
    expect(listening({ syscall, code })).toMatch(words);
  });

  it('is explained by the setting that named it', () => {
    const error = foreign({ syscall: 'listen', code: 'EADDRINUSE' });
    const unforeseen = foreign({ syscall: 'listen', code: 'EMFILE' });
    const explain = (cause: Error) => explainFailure(explainListening(cause, 80, METRICS_SETTING));
    expect(explain(error)).toBe('port 80 is taken: stop what listens there, or set METRICS_ADDRESS');
    expect(explain(unforeseen)).toMatch(/\(EMFILE\): set METRICS_ADDRESS to an address/);
  });

  it('is no other error’s explanation: a name that nobody finds may be the database’s', () => {
    const error = foreign({ syscall: 'connect', code: 'EADDRNOTAVAIL' });
    expect(explainListening(error, 80)).toBe(error);
  });

  it('is told as Node tells it', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const error: unknown = await tryPort({ host: '127.0.0.1', port }).catch((reason: unknown) => reason);
    expect(explainFailure(explainListening(error, port))).toMatch(/is taken/);
    server.close();
  });
});
