// The configuration: contract section 6, row by row, and every mistake at once.
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ConfigError, readConfig } from '../src/config.js';
import { DURATIONS, VARIABLES } from '../src/variables.js';

const DAY = 86_400;
const SECRET = 'kX9-a-secret-of-more-than-32-bytes-for-tests';
const URL_WITHOUT_PASSWORD = 'postgresql://gatehouse@db.example.com:5432/gatehouse';
const DATABASE = { DATABASE_URL: URL_WITHOUT_PASSWORD, AUTH_SECRET: SECRET };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function problemsOf(environment: Record<string, string | undefined>): string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The variables that problems name: each problem begins with one. */
function namesOf(problems: string[]): string[] {
  return problems.map((problem) => /^[A-Z_]+/.exec(problem)?.[0] ?? problem);
}

it('has the defaults of the contract', () => {
  expect(readConfig({})).toEqual({
    databaseUrl: null,
    authSecret: null,
    authSecretPrevious: null,
    dataDir: './data',
    host: '127.0.0.1',
    port: 3000,
    workers: 1,
    issuer: 'http://localhost:3000',
    audience: 'gatehouse',
    jwtAlgorithm: 'EdDSA',
    accessTtlSeconds: 600,
    refreshTtlSeconds: 14 * DAY,
    sessionTtlSeconds: 90 * DAY,
    reissueGraceSeconds: 60,
    reissueMax: 90,
    replayWindowSeconds: 30,
    corsOrigins: [],
    trustProxy: [],
    docs: true,
    accountPage: true,
    logLevel: 'info',
    warnings: [],
  });
});

it('takes empty values for absent ones and looks past what it does not know', () => {
  const names = ['DATABASE_URL', 'AUTH_SECRET', 'AUTH_SECRET_FILE', 'PORT', 'ISSUER', 'CORS_ORIGINS', 'DOCS'];
  const empty = Object.fromEntries(names.map((name) => [name, '']));
  expect(readConfig({ ...empty, LOG_LEVEL: undefined, PATH: '/bin', GATEHOUSE: '?' })).toEqual(
    readConfig({}),
  );
});

it('cannot be changed, not even in its lists', () => {
  const config = readConfig({ CORS_ORIGINS: 'https://a.example', TRUST_PROXY: '10.0.0.0/8' });
  expect(Object.isFrozen(config)).toBe(true);
  for (const list of [config.corsOrigins, config.trustProxy, config.warnings, readConfig({}).corsOrigins]) {
    expect(Object.isFrozen(list)).toBe(true);
  }
});

describe('takes', () => {
  it.each([
    ['DATA_DIR', '/var/lib/gatehouse', { dataDir: '/var/lib/gatehouse' }],
    ['HOST', '0.0.0.0', { host: '0.0.0.0' }],
    ['HOST', '::', { host: '::' }],
    ['PORT', '1', { port: 1, issuer: 'http://localhost:1' }],
    ['WORKERS', '1', { workers: 1 }],
    ['WORKERS', '6', { workers: 6 }],
    ['PORT', '65535', { port: 65_535, issuer: 'http://localhost:65535' }],
    ['ISSUER', 'https://login.example.com', { issuer: 'https://login.example.com', warnings: [] }],
    ['ISSUER', 'https://example.com:8443/auth/v1', { issuer: 'https://example.com:8443/auth/v1' }],
    ['AUDIENCE', 'https://api.example.com', { audience: 'https://api.example.com' }],
    ['AUDIENCE', 'a'.repeat(256), { audience: 'a'.repeat(256) }],
    ['JWT_ALGORITHM', 'EdDSA', { jwtAlgorithm: 'EdDSA' }],
    ['JWT_ALGORITHM', 'ES256', { jwtAlgorithm: 'ES256' }],
    ['JWT_ALGORITHM', 'RS256', { jwtAlgorithm: 'RS256' }],
    ['ACCESS_TOKEN_TTL', '30s', { accessTtlSeconds: 30 }],
    ['ACCESS_TOKEN_TTL', '24h', { accessTtlSeconds: DAY }],
    ['REFRESH_TOKEN_TTL', '10m', { refreshTtlSeconds: 600 }],
    ['REFRESH_TOKEN_TTL', '90d', { refreshTtlSeconds: 90 * DAY }],
    ['SESSION_TTL', '14d', { sessionTtlSeconds: 14 * DAY }],
    ['SESSION_TTL', '3650d', { sessionTtlSeconds: 3650 * DAY }],
    ['REISSUE_GRACE', '0', { reissueGraceSeconds: 0 }],
    ['REISSUE_GRACE', '0s', { reissueGraceSeconds: 0 }],
    ['REISSUE_GRACE', '1s', { reissueGraceSeconds: 1 }],
    ['REISSUE_GRACE', '5m', { reissueGraceSeconds: 300 }],
    ['REISSUE_MAX', '0', { reissueMax: 0 }],
    ['REISSUE_MAX', '1000', { reissueMax: 1000 }],
    ['REFRESH_REPLAY_WINDOW', '0', { replayWindowSeconds: 0 }],
    ['REFRESH_REPLAY_WINDOW', '10s', { replayWindowSeconds: 10 }],
    [
      'CORS_ORIGINS',
      'https://app.example.com,http://localhost:5173, https://[::1]:8443',
      { corsOrigins: ['https://app.example.com', 'http://localhost:5173', 'https://[::1]:8443'] },
    ],
    [
      'TRUST_PROXY',
      '10.0.0.0/8, 192.0.2.7\n2001:db8::/32,::1',
      { trustProxy: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1'] },
    ],
    ['DOCS', 'off', { docs: false }],
    ['DOCS', 'on', { docs: true }],
    ['ACCOUNT_PAGE', 'off', { accountPage: false }],
    ['ACCOUNT_PAGE', 'on', { accountPage: true }],
    ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
    ['LOG_LEVEL', 'trace', { logLevel: 'trace' }],
    ['AUTH_SECRET', 'correct horse battery staple clip', { authSecret: 'correct horse battery staple clip' }],
    ['AUTH_SECRET', 'ÄßÖéÜöäüèÄñçÖåéÜ', { authSecret: 'ÄßÖéÜöäüèÄñçÖåéÜ' }],
    ['AUTH_SECRET_PREVIOUS', SECRET, { authSecretPrevious: SECRET }],
  ])('%s=%s', (name, value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected);
  });

  it.each(['postgres://u:p@h/d', 'postgresql://u:p%40w@[::1]:5433/d?sslmode=require'])(
    'DATABASE_URL=%s as it is',
    (DATABASE_URL) => {
      expect(readConfig({ ...DATABASE, DATABASE_URL }).databaseUrl).toBe(DATABASE_URL);
    },
  );
});

const NO_DURATION = [
  '',
  ' ',
  '10',
  '-1',
  '-1s',
  'Infinity',
  'Infinitys',
  'infinite',
  'never',
  'NaN',
  '1e999s',
  '9999999999d',
  '10 m',
  '-10m',
  '+10m',
  '1.5h',
  '10M',
  '10ms',
  '1w',
  '1y',
  'ten',
  'PT10M',
  '1h30m',
  '1e3s',
];
function keyPair(type: 'rsa' | 'ed25519' | 'ec'): { privateKey: KeyObject; publicKey: KeyObject } {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (type === 'ec') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return generateKeyPairSync('ed25519');
}

const PAIRS = (['rsa', 'ed25519', 'ec'] as const).map((type) => ({ type, ...keyPair(type) }));

const KEYS: [string, string][] = PAIRS.flatMap(({ type, privateKey, publicKey }): [string, string][] => [
  [`${type}, private, PEM`, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  [`${type}, public, PEM`, publicKey.export({ type: 'spki', format: 'pem' }).toString()],
  [`${type}, private, JWK`, JSON.stringify(privateKey.export({ format: 'jwk' }))],
  [`${type}, public, JWKS`, JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }, null, 2)],
]);

KEYS.push(
  ['a token', 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXNvLW1hbnktYnl0ZXM'],
  ['ed25519, public, OpenSSH', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq0m3J8x1Yb7u alice@example.com'],
);

const DER_KEYS: [string, Buffer][] = PAIRS.flatMap(({ type, privateKey, publicKey }): [string, Buffer][] => [
  [`${type}, private`, privateKey.export({ type: 'pkcs8', format: 'der' })],
  [`${type}, public`, publicKey.export({ type: 'spki', format: 'der' })],
]);

const NO_WHOLE_NUMBER = ['-1', '1.5', '1e3', '0x10', ' 80', 'ten', '١', '99999999999'];

describe('refuses', () => {
  it.each([
    ['DATABASE_URL', ['localhost', 'mysql://u@h/d', 'postgresql://u@h', 'postgresql://u@h/', 'http://u@h/d']],
    [
      'AUTH_SECRET',
      ['short', 'a'.repeat(64), 'abc'.repeat(20), 'x'.repeat(31), 'ÄÖÜäöüßéabcdefg'.slice(0, 12)],
    ],
    [
      'AUTH_SECRET',
      ['abcdefgh'.repeat(4), '01'.repeat(32), 'abcdefghijklmnopqrstuvwxyz0123456789', 'ÄÖ'.repeat(9)],
    ],
    [
      'AUTH_SECRET',
      [
        '$(openssl rand -base64 48) and a bit more',
        'please-change-me-before-you-go-live-1',
        'your-256-bit-super-long-secret-here!',
        'replace_this_with_something_of_your_own',
      ],
    ],
    ['AUTH_SECRET_PREVIOUS', ['short', 'a'.repeat(64), `{"kty":"oct","k":"${SECRET}"}`]],
    ['PORT', [...NO_WHOLE_NUMBER, '0', '65536']],
    ['WORKERS', [...NO_WHOLE_NUMBER, '0', '65']],
    [
      'ISSUER',
      ['login.example.com', 'ftp://example.com', 'https:example.com', 'https://example.com/', 'https://'],
    ],
    [
      'ISSUER',
      ['https://example.com?', 'https://example.com?a=b', 'https://example.com#', 'https://example.com#a'],
    ],
    ['ISSUER', ['https://u@example.com', 'https://u:p@example.com', 'https://:p@example.com']],
    [
      'ISSUER',
      [' https://example.com', 'https://example.com ', 'https://exam\nple.com', 'https://example.com/a b'],
    ],
    ['AUDIENCE', ['a'.repeat(257)]],
    ['JWT_ALGORITHM', ['none', 'HS256', 'RS512', 'eddsa', 'Ed25519', 'EdDSA ']],
    ['ACCESS_TOKEN_TTL', [...NO_DURATION, '0', '0s', '29s', '3651d']],
    ['REFRESH_TOKEN_TTL', [...NO_DURATION, '0', '0s', '999999999d']],
    ['SESSION_TTL', [...NO_DURATION, '0', '0s', '3651d']],
    ['REISSUE_GRACE', [...NO_DURATION, '301s', '6m']],
    ['REISSUE_MAX', [...NO_WHOLE_NUMBER, '1000001', '90s']],
    ['REFRESH_REPLAY_WINDOW', [...NO_DURATION, '301s']],
    ['CORS_ORIGINS', ['*', 'null', 'https://*.example.com', 'app.example.com', 'https://a.example/']],
    ['CORS_ORIGINS', ['https://a.example/path', 'https://A.example', 'https://a.example:443', 'file:///x']],
    ['CORS_ORIGINS', ['https://a.example,*', 'https://u@a.example', 'https://a.example;https://b.example']],
    [
      'TRUST_PROXY',
      ['true', '1', 'loopback', '*', '10.0.0.0/33', '10.0.0.0/', '10.0.0/8', '::/129', '10.0.0.0/8/8'],
    ],
    ['TRUST_PROXY', ['10.0.0.1,proxy.example.com', '10.0.0.0/-1', '10.0.0.0/255.0.0.0', '10.0.0.0/ 8']],
    // What every address is in is no list of proxies, and the library that takes the list refuses to start with it.
    ['TRUST_PROXY', ['0.0.0.0/0', '::/0']],
    ['DOCS', ['true', 'ON', 'yes', '1']],
    ['ACCOUNT_PAGE', ['true', 'OFF', 'no', '0']],
    ['LOG_LEVEL', ['verbose', 'INFO', '30']],
  ] as [string, string[]][])('any other %s: %j', (name, values) => {
    for (const value of values) {
      const environment = name === 'DATABASE_URL' ? { AUTH_SECRET: SECRET } : {};
      const problems = problemsOf({ ...environment, [name]: value });
      expect(namesOf(problems), JSON.stringify(value)).toContain(name);
    }
  });

  it.each(KEYS)('a key for a secret: %s', (_what, key) => {
    for (const AUTH_SECRET of [
      key,
      ` ${key}\n`,
      key.replaceAll('\n', '\\n'),
      Buffer.from(key).toString('base64'),
    ]) {
      const problems = problemsOf({ AUTH_SECRET });
      expect(problems, AUTH_SECRET).toEqual([
        expect.stringMatching(/^AUTH_SECRET is or holds a PEM, DER or JWK key/),
      ]);
    }
  });

  it.each(DER_KEYS)('the base64 of a key for a secret: %s', (_what, key) => {
    for (const encoding of ['base64', 'base64url'] as const) {
      const AUTH_SECRET_FILE = file('der', key.toString(encoding));
      expect(problemsOf({ AUTH_SECRET_FILE })).toEqual([
        expect.stringMatching(/^AUTH_SECRET_FILE is or holds a PEM/),
      ]);
    }
  });

  it('no random secret', () => {
    const encodings = ['base64', 'base64url', 'hex'] as const;
    for (let round = 0; round < 2000; round += 1) {
      for (const encoding of encodings) {
        const AUTH_SECRET = randomBytes(32).toString(encoding);
        expect(problemsOf({ AUTH_SECRET }), AUTH_SECRET).toEqual([]);
      }
    }
  });

  it('a secret that is the one before as well', () => {
    const equal = { AUTH_SECRET: SECRET, AUTH_SECRET_PREVIOUS: SECRET };
    expect(problemsOf(equal)).toEqual([
      expect.stringMatching(/^AUTH_SECRET_PREVIOUS equals AUTH_SECRET: set /),
    ]);
    const inFile = { AUTH_SECRET_FILE: file('same', `${SECRET}\n`), AUTH_SECRET_PREVIOUS: SECRET };
    expect(namesOf(problemsOf(inFile))).toEqual(['AUTH_SECRET_PREVIOUS']);
  });

  it('a duration that is set but empty, though other empty values count as absent', () => {
    for (const name of DURATIONS) {
      expect(problemsOf({ [name]: '' })).toEqual([
        expect.stringMatching(`^${name} must be a duration .*not be set`),
      ]);
      expect(problemsOf({ [name]: undefined })).toEqual([]);
    }
    expect([...DURATIONS].sort()).toEqual(
      VARIABLES.filter((name) => /_TTL$|_GRACE$|_WINDOW$/.test(name)).sort(),
    );
  });

  it('a replay window in which the return of a stolen refresh token would never be noticed', () => {
    const short = { ACCESS_TOKEN_TTL: '1m', REFRESH_TOKEN_TTL: '1m', REFRESH_REPLAY_WINDOW: '2m' };
    expect(namesOf(problemsOf(short))).toEqual(['REFRESH_REPLAY_WINDOW']);
  });

  it('a database elsewhere without a secret', () => {
    const problems = problemsOf({ DATABASE_URL: URL_WITHOUT_PASSWORD });
    expect(problems).toEqual([expect.stringMatching(/^AUTH_SECRET \(or AUTH_SECRET_FILE\) is required/)]);
  });

  it('an access token that outlives a refresh token, and a refresh token that outlives its session', () => {
    expect(namesOf(problemsOf({ ACCESS_TOKEN_TTL: '15d' }))).toEqual(['ACCESS_TOKEN_TTL']);
    expect(namesOf(problemsOf({ SESSION_TTL: '13d' }))).toEqual(['REFRESH_TOKEN_TTL']);
    expect(readConfig({ ACCESS_TOKEN_TTL: '1h', REFRESH_TOKEN_TTL: '60m', SESSION_TTL: '1h' })).toMatchObject(
      {
        accessTtlSeconds: 3600,
        sessionTtlSeconds: 3600,
      },
    );
  });
});

describe('names every mistake at once', () => {
  it('of every kind: values, files, contradictions', () => {
    const problems = problemsOf({
      DATABASE_URL: 'postgresql://u:p@h/d',
      DATABASE_PASSWORD_FILE: join(directory, 'absent-1'),
      AUTH_SECRET_FILE: join(directory, 'absent-2'),
      PORT: 'eighty',
      LOG_LEVEL: 'loud',
      CORS_ORIGINS: '*',
      SESSION_TTL: '1d',
    });
    const expected = [
      'DATABASE_PASSWORD_FILE',
      'AUTH_SECRET_FILE',
      'PORT',
      'LOG_LEVEL',
      'CORS_ORIGINS',
      'REFRESH_TOKEN_TTL',
    ];
    expect(namesOf(problems).sort()).toEqual(expected.sort());
  });

  it('with a missing secret beside a wrong port', () => {
    const problems = problemsOf({ DATABASE_URL: URL_WITHOUT_PASSWORD, PORT: '0' });
    expect(namesOf(problems).sort()).toEqual(['AUTH_SECRET', 'PORT']);
  });

  it('a line each, and once', () => {
    const problems = problemsOf({ PORT: 'x', DOCS: 'x', ACCESS_TOKEN_TTL: 'x', AUTH_SECRET: 'x' });
    expect(problems).toHaveLength(new Set(namesOf(problems)).size);
    for (const problem of problems) expect(problem).not.toContain('\n');
    expect(new ConfigError(problems).message.split('\n')).toEqual(problems);
  });

  it('and no value', () => {
    const value = 'hunter2-hunter2';
    const names = [
      'AUTH_SECRET',
      'AUTH_SECRET_FILE',
      'AUTH_SECRET_PREVIOUS',
      'DATABASE_URL',
      'DATABASE_PASSWORD_FILE',
    ];
    const others = ['PORT', 'ISSUER', 'JWT_ALGORITHM', 'ACCESS_TOKEN_TTL', 'REISSUE_GRACE', 'REISSUE_MAX'];
    const lists = ['CORS_ORIGINS', 'TRUST_PROXY', 'DOCS', 'ACCOUNT_PAGE', 'LOG_LEVEL'];
    for (const name of [...names, ...others, ...lists]) {
      const problems = problemsOf({ [name]: value });
      expect(problems, name).not.toEqual([]);
      expect(problems.join('\n'), name).not.toContain('hunter2');
    }
  });
});

describe('AUTH_SECRET_FILE', () => {
  it('is read in the place of AUTH_SECRET, without the line break at its end', () => {
    const AUTH_SECRET_FILE = file('secret', `${SECRET}\n`);
    expect(readConfig({ AUTH_SECRET_FILE }).authSecret).toBe(SECRET);
    expect(readConfig({ DATABASE_URL: URL_WITHOUT_PASSWORD, AUTH_SECRET_FILE }).authSecret).toBe(SECRET);
  });

  it('does not go together with AUTH_SECRET', () => {
    const problems = problemsOf({ AUTH_SECRET: SECRET, AUTH_SECRET_FILE: file('secret', SECRET) });
    expect(problems).toEqual([expect.stringMatching(/^AUTH_SECRET and AUTH_SECRET_FILE are both set/)]);
  });

  it('is itself named when its content will not do', () => {
    for (const content of ['', '\n', 'short', 'a'.repeat(64)]) {
      const problems = problemsOf({ AUTH_SECRET_FILE: file('weak', content) });
      expect(problems, JSON.stringify(content)).toEqual([expect.stringMatching(/^AUTH_SECRET_FILE /)]);
    }
  });

  it('is named once when it cannot be read, with the reason and without the path', () => {
    const absent = problemsOf({
      DATABASE_URL: URL_WITHOUT_PASSWORD,
      AUTH_SECRET_FILE: join(directory, 'absent'),
    });
    expect(absent).toEqual([
      expect.stringMatching(/^AUTH_SECRET_FILE cannot be read \(ENOENT\): set it to a file/),
    ]);
    expect(absent.join()).not.toContain(directory);
    expect(problemsOf({ AUTH_SECRET_FILE: directory })).toEqual([
      expect.stringMatching(/^AUTH_SECRET_FILE cannot be read \(EISDIR\)/),
    ]);
  });
});

describe('DATABASE_PASSWORD_FILE', () => {
  it.each(['plain', 'p@ss:w/rd?#[]', '100%', '%41', 'ä ö', 'quo\'te"', '\\'])(
    'completes a URL with the password %j',
    (password) => {
      const DATABASE_PASSWORD_FILE = file('password', `${password}\n`);
      const { databaseUrl } = readConfig({ ...DATABASE, DATABASE_PASSWORD_FILE });
      const url = new URL(databaseUrl ?? '');
      expect(decodeURIComponent(url.password)).toBe(password);
      expect({ user: url.username, host: url.host, path: url.pathname }).toEqual({
        user: 'gatehouse',
        host: 'db.example.com:5432',
        path: '/gatehouse',
      });
    },
  );

  it('does not go together with a password in the URL', () => {
    const problems = problemsOf({
      ...DATABASE,
      DATABASE_URL: 'postgresql://u:p@h/d',
      DATABASE_PASSWORD_FILE: file('password', 'x'),
    });
    expect(problems).toEqual([
      expect.stringMatching(/^DATABASE_PASSWORD_FILE is set, but DATABASE_URL has a password/),
    ]);
  });

  it('needs a URL to complete', () => {
    const problems = problemsOf({ DATABASE_PASSWORD_FILE: file('password', 'x') });
    expect(problems).toEqual([expect.stringMatching(/^DATABASE_PASSWORD_FILE completes DATABASE_URL/)]);
  });

  it('is named when it is empty or cannot be read', () => {
    const empty = problemsOf({ ...DATABASE, DATABASE_PASSWORD_FILE: file('password', '\n') });
    expect(empty).toEqual(['DATABASE_PASSWORD_FILE is empty: put the password into the file']);
    const absent = problemsOf({ ...DATABASE, DATABASE_PASSWORD_FILE: join(directory, 'absent') });
    expect(absent).toEqual([expect.stringMatching(/^DATABASE_PASSWORD_FILE cannot be read \(ENOENT\)/)]);
  });

  it('is refused rather than lost for a URL that has no host to carry a password', () => {
    const DATABASE_PASSWORD_FILE = file('password', 'x');
    const DATABASE_URL = 'postgresql:///gatehouse?host=/var/run/postgresql';
    expect(readConfig({ ...DATABASE, DATABASE_URL }).databaseUrl).toBe(DATABASE_URL);
    const problems = problemsOf({ ...DATABASE, DATABASE_URL, DATABASE_PASSWORD_FILE });
    expect(namesOf(problems)).toEqual(['DATABASE_PASSWORD_FILE']);
  });
});

describe('warns', () => {
  it.each(['http://login.example.com', 'http://10.0.0.5:3000', 'http://localhost.example.com'])(
    'of tokens on an open wire when ISSUER is %s',
    (ISSUER) => {
      expect(readConfig({ ISSUER }).warnings).toEqual([expect.stringMatching(/^ISSUER is http/)]);
    },
  );

  it.each([
    'https://login.example.com',
    'http://localhost:8080',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])('of nothing when ISSUER is %s', (ISSUER) => {
    expect(readConfig({ ISSUER }).warnings).toEqual([]);
  });

  it.each([
    ['ACCESS_TOKEN_TLL', 'ACCESS_TOKEN_TTL'],
    ['ACCESS_TOKN_TTL', 'ACCESS_TOKEN_TTL'],
    ['ACCESS_TOKEN_TTLS', 'ACCESS_TOKEN_TTL'],
    ['ACCESS_TOKEN_TTT', 'ACCESS_TOKEN_TTL'],
    ['access_token_ttl', 'ACCESS_TOKEN_TTL'],
    ['AUTH_SECRETS', 'AUTH_SECRET'],
    ['UTH_SECRET', 'AUTH_SECRET'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['TRUST_PROXIES', null],
    ['CORS_ORIGIN', 'CORS_ORIGINS'],
    ['ISSUERS', 'ISSUER'],
    ['POST', null],
    ['HOSTS', null],
    ['PATH', null],
    ['PG_DATABASE', null],
    ['GATEHOUSE_PORT', null],
  ])('of the misspelt %s, which may be meant as %s', (name, meant) => {
    const value = 'hunter2-hunter2';
    const { warnings } = readConfig({ [name]: value });
    expect(warnings).toEqual(meant === null ? [] : [`${name} is not read; if you meant ${meant}, rename it`]);
  });

  it('of the PG* variables, which no connection heeds: once, by their names', () => {
    const environment = { PGSSLMODE: 'require', PGPASSWORD: 'hunter2-hunter2', PG: 'x', PAGER: 'less' };
    expect(readConfig(environment).warnings).toEqual([
      'not read: PGPASSWORD, PGSSLMODE; what a connection needs goes into DATABASE_URL',
    ]);
  });

  it('of no variable that looks like one of ours while ours is set too', () => {
    expect(readConfig({ LOGLEVEL: 'debug', LOG_LEVEL: 'info' }).warnings).toEqual([]);
  });
});

it('refuses an audience that is the issuer, which is the audience of refresh tokens', () => {
  expect(namesOf(problemsOf({ AUDIENCE: 'https://a.example', ISSUER: 'https://a.example' }))).toEqual([
    'AUDIENCE',
  ]);
  expect(namesOf(problemsOf({ AUDIENCE: 'http://localhost:3000' }))).toEqual(['AUDIENCE']);
  expect(problemsOf({ AUDIENCE: 'https://a.example', ISSUER: 'https://b.example' })).toEqual([]);
});

it('takes a database password as it is in its file, but for the end of the line', () => {
  const { databaseUrl } = readConfig({ ...DATABASE, DATABASE_PASSWORD_FILE: file('spaced', ' p:w/d \n') });
  expect(decodeURIComponent(new URL(databaseUrl ?? '').password)).toBe(' p:w/d ');
});
