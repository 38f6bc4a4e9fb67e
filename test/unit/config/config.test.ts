// The configuration: contract section 6, row by row, and every mistake at once.
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ConfigError, readConfig } from '../../../src/config/config.js';
import { DURATIONS, VARIABLES } from '../../../src/config/variables.js';
import { fitsIntoTokens } from '../../../src/domain/tokens/length.js';

const DAY = 86_400;
const SECRET = 'kX9-a-secret-of-more-than-32-bytes-for-tests';
const URL_WITHOUT_PASSWORD = 'postgresql://gatehouse@db.example.com:5432/gatehouse';
const DATABASE = { DATABASE_URL: URL_WITHOUT_PASSWORD, AUTH_SECRET: SECRET };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
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
    sessionsPerUser: null,
    passwordMinLength: 15,
    accountHelp: 'Forgot your password? Ask the people who run this service for a new one.',
    corsOrigins: [],
    trustProxy: [],
    gatewayExt: false,
    docs: true,
    admin: true,
    adminAddress: null,
    accountPage: true,
    metricsAddress: null,
    otlpEndpoint: null,
    events: 'all',
    eventsRetentionSeconds: 90 * DAY,
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
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318', { otlpEndpoint: 'http://127.0.0.1:4318' }],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'https://o.example/otlp/', { otlpEndpoint: 'https://o.example/otlp/' }],
    ['ADMIN_ADDRESS', '10.0.0.5:3001', { adminAddress: { host: '10.0.0.5', port: 3001 } }],
    ['METRICS_ADDRESS', '[::1]:3000', { metricsAddress: { host: '::1', port: 3000 } }],
    ['METRICS_ADDRESS', '127.0.0.1:9464', { metricsAddress: { host: '127.0.0.1', port: 9464 } }],
    ['METRICS_ADDRESS', '[::1]:1', { metricsAddress: { host: '::1', port: 1 } }],
    [
      'METRICS_ADDRESS',
      'metrics.internal:65535',
      { metricsAddress: { host: 'metrics.internal', port: 65_535 } },
    ],
    ['SESSIONS_PER_USER', '1', { sessionsPerUser: 1 }],
    ['SESSIONS_PER_USER', '1000', { sessionsPerUser: 1000 }],
    ['PASSWORD_MIN_LENGTH', '8', { passwordMinLength: 8 }],
    ['PASSWORD_MIN_LENGTH', '64', { passwordMinLength: 64 }],
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
    [
      'TRUST_PROXY',
      '::ffff:10.0.0.1 ::ffff:a00:0/104 fe80::1%eth0 ::/1',
      { trustProxy: ['::ffff:10.0.0.1', '::ffff:a00:0/104', 'fe80::1%eth0', '::/1'] },
    ],
    ['GATEWAY_EXT', 'on', { gatewayExt: true }],
    ['GATEWAY_EXT', 'off', { gatewayExt: false }],
    ['DOCS', 'off', { docs: false }],
    ['DOCS', 'on', { docs: true }],
    ['ADMIN', 'off', { admin: false }],
    ['ACCOUNT_PAGE', 'off', { accountPage: false }],
    ['ACCOUNT_HELP', 'Call 5 & ask', { accountHelp: 'Call 5 & ask' }],
    ['ACCOUNT_HELP', 'a'.repeat(300), { accountHelp: 'a'.repeat(300) }],
    ['ACCOUNT_PAGE', 'on', { accountPage: true }],
    ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
    ['LOG_LEVEL', 'trace', { logLevel: 'trace' }],
    ['AUTH_SECRET', 'correct horse battery staple clip', { authSecret: 'correct horse battery staple clip' }],
    ['AUTH_SECRET', 'ÄßÖéÜöäüèÄñçÖåéÜ', { authSecret: 'ÄßÖéÜöäüèÄñçÖåéÜ' }],
    ['AUTH_SECRET_PREVIOUS', SECRET, { authSecretPrevious: SECRET }],
  ])('%s=%s', (name, value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected);
  });

  it.each([
    ...['capacitor://localhost', 'ionic://localhost', 'tauri://localhost', 'http://tauri.localhost'],
    ...['https://tauri.localhost', 'app://.', 'app://my_app', 'wails://wails', 'wails://wails:34115'],
    'chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb',
    'moz-extension://1c3a9d1e-8f54-4d2b-9f35-0e3a4e1f7a60',
    // Of a scheme of its own, a host keeps its capital letters.
    'safari-web-extension://0CC9A8B3-3D2E-4E61-9A5C-6A4E1B1F9C11',
    ...[
      'ms-appx-web://contoso.app',
      'x.y+z-1://localhost',
      'capacitor://[::1]:80',
      'capacitor://localhost:443',
    ],
    ...[
      'https://a.example.',
      'https://xn--bcher-kva.example',
      'https://a_b.example',
      'http://127.0.0.1:8080',
    ],
    ...[
      'https://a.example:80',
      'http://a.example:443',
      'http://localhost',
      'https://a',
      'https://a.example:65535',
    ],
  ])('the origin %s', (origin) => {
    expect(readConfig({ CORS_ORIGINS: origin }).corsOrigins).toEqual([origin]);
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
    ['ADMIN_ADDRESS', ['3001', 'http://127.0.0.1:3001', '127.0.0.1:3000', '0.0.0.0:3000', '[::]:3000']],
    [
      'METRICS_ADDRESS',
      [
        '9464',
        ':9464',
        '127.0.0.1',
        '::1:9464',
        '127.0.0.1:0',
        '127.0.0.1:65536',
        'http://127.0.0.1:9464',
        '[::1]',
        'a b:1',
      ],
    ],
    [
      'METRICS_ADDRESS',
      ['127.0.0.1:3000', 'LocalHost:3000', '0.0.0.0:3000', '[::]:3000', '[::ffff:127.0.0.1]:3000'],
    ],
    [
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      [
        'localhost:4318',
        '127.0.0.1:4318',
        'grpc://otel:4317',
        'http://',
        'http://u:p@otel:4318',
        'http://o?a=b',
      ],
    ],
    ['SESSIONS_PER_USER', [...NO_WHOLE_NUMBER, '0', '1001']],
    ['PASSWORD_MIN_LENGTH', [...NO_WHOLE_NUMBER, '0', '7', '65']],
    [
      'TRUST_PROXY',
      ['true', '1', 'loopback', '*', '10.0.0.0/33', '10.0.0.0/', '10.0.0/8', '::/129', '10.0.0.0/8/8'],
    ],
    ['TRUST_PROXY', ['10.0.0.1,proxy.example.com', '10.0.0.0/-1', '10.0.0.0/255.0.0.0', '10.0.0.0/ 8']],
    // What every address is in is no list of proxies.
    [
      'TRUST_PROXY',
      ['0.0.0.0/0', '::/0', '::ffff:0:0/96', '::ffff:10.0.0.0/64', '010.0.0.1', '[::1]', '10.0.0.1:80'],
    ],
    ['GATEWAY_EXT', ['true', 'ON', 'yes', '1']],
    ['DOCS', ['true', 'ON', 'yes', '1']],
    ['ADMIN', ['true', 'OFF', 'no', '0']],
    ['ACCOUNT_PAGE', ['true', 'OFF', 'no', '0']],
    ['ACCOUNT_HELP', ['a'.repeat(301)]],
    ['LOG_LEVEL', ['verbose', 'INFO', '30']],
  ] as [string, string[]][])('any other %s: %j', (name, values) => {
    for (const value of values) {
      const environment = name === 'DATABASE_URL' ? { AUTH_SECRET: SECRET } : {};
      const problems = problemsOf({ ...environment, [name]: value });
      expect(namesOf(problems), JSON.stringify(value)).toContain(name);
    }
  });

  it.each([
    [
      'holds a *',
      ['*', 'https://*', 'https://*.example.com', 'capacitor://*', 'http://localhost:*', '*://a.example'],
    ],
    ['is null', ['null']],
    [
      'does not begin with a scheme',
      [
        ...[
          'app.example.com',
          'localhost:5173',
          '//a.example',
          '://a.example',
          'https:a.example',
          'https:/a.example',
        ],
        ...[
          'https',
          'https:',
          'HTTPS://a.example',
          'Capacitor://localhost',
          'capacitor:localhost',
          '1a://localhost',
        ],
        ...[
          '"https://a.example"',
          '<https://a.example>',
          '[https://a.example]',
          'NULL',
          'Null',
          '%2A',
          'any',
          'true',
        ],
        ...['-x://localhost', 'a_b://localhost', 'é://localhost', 'mailto:a@a.example'],
      ],
    ],
    [
      'has a scheme that no page',
      [
        ...['file://', 'file:///x', 'file://localhost', 'data://x', 'blob://a.example', 'about://blank'],
        ...[
          'javascript://a.example',
          'filesystem://a.example',
          'ws://a.example',
          'wss://a.example',
          'ftp://a.example',
        ],
      ],
    ],
    [
      'goes on after',
      [
        ...[
          'https://a.example/',
          'https://a.example/path',
          'https://a.example:8443/',
          'https://a.example?',
          'https://a.example?q',
        ],
        ...[
          'https://a.example#',
          'https://a.example#f',
          'https://a.example\\',
          'https:///a.example',
          'https://a.example//',
        ],
        ...[
          'capacitor://localhost/',
          'capacitor://localhost/index.html',
          'capacitor://localhost?',
          'capacitor://localhost#',
        ],
        ...['capacitor://localhost\\', 'capacitor:///', 'chrome-extension://abc/popup.html'],
      ],
    ],
    [
      'holds a user',
      [
        'https://u@a.example',
        'https://u:p@a.example',
        'https://@a.example',
        'capacitor://u@localhost',
        'capacitor://@localhost',
      ],
    ],
    [
      'has no host',
      [
        ...[
          'https://',
          'capacitor://',
          'https://:443',
          'capacitor://:80',
          'https://a.example:65536',
          'https://a.example:x',
        ],
        ...[
          'capacitor://localhost:65536',
          'capacitor://localhost:-1',
          'https://a.example;https:b',
          'https://a.example:1:2',
        ],
        ...[
          'https://a b'.replace(' ', '%20'),
          'https://a<b',
          'https://[::1',
          'https://::1',
          'https://[:::1]',
          'https://256.0.0.1',
        ],
        ...[
          'https://a.example;b.example',
          "https://a.example'",
          'https://(a.example)',
          'capacitor://local;host',
        ],
        ...[
          'capacitor://local!host',
          'capacitor://"localhost"',
          'capacitor://a|b',
          'capacitor://a%2Ab',
          'capacitor://bücher',
        ],
      ],
    ],
    [
      'is not written as',
      [
        ...[
          'https://A.example',
          'https://a.EXAMPLE',
          'https://a.example:443',
          'http://a.example:80',
          'https://a.example:08443',
        ],
        ...[
          'https://a.example:',
          'capacitor://localhost:',
          'capacitor://localhost:080',
          'https://bücher.example',
          'https://b%C3%BCcher.example',
        ],
        ...[
          'https://XN--BCHER-KVA.example',
          'http://127.1',
          'http://0x7f.0.0.1',
          'http://2130706433',
          'http://[0:0:0:0:0:0:0:1]',
        ],
        ...[
          'http://[::FFFF]',
          'capacitor://[0::1]',
          'https://a\u3002example',
          'https://\uff41.example',
          'https://a\u00ad.example',
        ],
      ],
    ],
  ] as [string, string[]][])('an origin that %s', (reason, origins) => {
    for (const origin of origins) {
      const alone = problemsOf({ CORS_ORIGINS: origin });
      const third = problemsOf({ CORS_ORIGINS: `https://a.example, capacitor://localhost\n${origin}` });
      for (const [place, problems] of [
        [1, alone],
        [3, third],
      ] as const) {
        expect(problems, JSON.stringify(origin)).toHaveLength(1);
        expect(problems[0], JSON.stringify(origin)).toContain(`: number ${place} ${reason}`);
      }
    }
  });

  it('origins that are not separated by commas or white space', () => {
    for (const CORS_ORIGINS of ['https://a.example;https://b.example', 'https://a.example|https://b.example'])
      expect(namesOf(problemsOf({ CORS_ORIGINS }))).toEqual(['CORS_ORIGINS']);
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
      VARIABLES.filter((name) => /_TTL$|_GRACE$|_WINDOW$|_RETENTION$/.test(name)).sort(),
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
      'AUTH_SECRET_PREVIOUS_FILE',
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

describe.each([
  ['AUTH_SECRET', 'authSecret'],
  ['AUTH_SECRET_PREVIOUS', 'authSecretPrevious'],
] as const)('%s_FILE', (name, member) => {
  const fileName = `${name}_FILE`;
  const other = name === 'AUTH_SECRET' ? {} : { AUTH_SECRET: `another ${SECRET}` };
  const problemsWith = (path: string, more = {}) => problemsOf({ ...other, [fileName]: path, ...more });

  it(`is read in the place of ${name}, without the line break at its end`, () => {
    const path = file('secret', `${SECRET}\n`);
    expect(readConfig({ ...other, [fileName]: path })[member]).toBe(SECRET);
    expect(readConfig({ DATABASE_URL: URL_WITHOUT_PASSWORD, ...other, [fileName]: path })[member]).toBe(
      SECRET,
    );
    expect(readConfig({ ...other, [fileName]: '' })[member]).toBeNull();
  });

  it(`does not go together with ${name}`, () => {
    const problems = problemsWith(file('secret', SECRET), { [name]: SECRET });
    expect(problems).toEqual([`${name} and ${fileName} are both set: keep one`]);
  });

  it('is itself named when its content will not do', () => {
    for (const content of ['short', 'a'.repeat(64), '\n\n', ' ']) {
      const problems = problemsWith(file('weak', content));
      expect(problems, JSON.stringify(content)).toEqual([expect.stringMatching(`^${fileName} `)]);
    }
  });

  it('is named when it is empty', () => {
    for (const content of ['', '\n', '\r\n'])
      expect(problemsWith(file('empty', content))).toEqual([
        `${fileName} is empty: put the secret into the file`,
      ]);
  });

  it('is named when it is no UTF-8, of which different secrets would be read as the same', () => {
    for (const content of [Buffer.alloc(40, 0xff), Buffer.from(`\uFEFF${SECRET}`, 'utf16le')])
      expect(problemsWith(file('binary', content))).toEqual([
        `${fileName} is not UTF-8 text: save the file as UTF-8`,
      ]);
  });

  it('is named once when it cannot be read, with the reason and without the path', () => {
    const database = { DATABASE_URL: URL_WITHOUT_PASSWORD };
    const absent = problemsWith(join(directory, 'absent'), database);
    expect(absent).toEqual([`${fileName} cannot be read (ENOENT): set it to a file that this user may read`]);
    expect(problemsWith(directory)).toEqual([
      expect.stringMatching(`^${fileName} cannot be read \\(EISDIR\\)`),
    ]);
  });

  it('shows nothing of a secret that was set in its place', () => {
    for (const secret of [SECRET, `${SECRET}/${SECRET}`, SECRET.repeat(200), `${SECRET}\0x`]) {
      const problems = problemsWith(secret);
      expect(problems).toEqual([expect.stringMatching(`^${fileName} cannot be read \\([A-Z_]+\\): set it`)]);
      expect(problems.join()).not.toContain(SECRET.slice(0, 4));
    }
  });
});

it('names the file of the previous secret when both secrets are one', () => {
  const problems = problemsOf({ AUTH_SECRET: SECRET, AUTH_SECRET_PREVIOUS_FILE: file('same', SECRET) });
  expect(problems).toEqual([
    'AUTH_SECRET_PREVIOUS_FILE equals AUTH_SECRET: set AUTH_SECRET to a new secret, or take AUTH_SECRET_PREVIOUS_FILE away',
  ]);
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
    const binary = problemsOf({ ...DATABASE, DATABASE_PASSWORD_FILE: file('password', Buffer.of(0xff)) });
    expect(binary).toEqual(['DATABASE_PASSWORD_FILE is not UTF-8 text: save the file as UTF-8']);
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

describe('refuses what leaves no room for user names in a token of 3,800 characters', () => {
  const issuerOf = (length: number) => 'https://a.example/'.padEnd(length, 'a');

  it.each([
    ['ISSUER', { ISSUER: issuerOf(4000) }],
    ['ISSUER', { ISSUER: issuerOf(1150) }],
    ['ISSUER', { ISSUER: issuerOf(1150), AUDIENCE: 'a'.repeat(256) }],
    ['AUDIENCE', { ISSUER: issuerOf(700), AUDIENCE: '\u20ac'.repeat(256) }],
  ])('and names %s, the longer one', (name, environment) => {
    expect(problemsOf(environment)).toEqual([
      `${name} is too long: with ISSUER and AUDIENCE, tokens of long user names would be longer than 3800 characters; set a shorter one`,
    ]);
  });

  it('and takes what leaves it', () => {
    expect(problemsOf({ ISSUER: issuerOf(300), AUDIENCE: 'a'.repeat(256) })).toEqual([]);
    const longest = '\u{104b0}'.repeat(254);
    const fits = (length: number) =>
      fitsIntoTokens({ username: longest, scope: '' }, { issuer: issuerOf(length), audience: 'gatehouse' });
    let length = 300;
    while (fits(length + 1)) length += 1;
    expect(problemsOf({ ISSUER: issuerOf(length) })).toEqual([]);
    expect(namesOf(problemsOf({ ISSUER: issuerOf(length + 1) }))).toEqual(['ISSUER']);
  });
});

it('takes a database password as it is in its file, but for the end of the line', () => {
  const { databaseUrl } = readConfig({ ...DATABASE, DATABASE_PASSWORD_FILE: file('spaced', ' p:w/d \n') });
  expect(decodeURIComponent(new URL(databaseUrl ?? '').password)).toBe(' p:w/d ');
});

/** What nobody sees: byte-order mark, zero-width characters, spaces, a soft hyphen, direction marks, fillers, control characters. */
const UNSEEN = [
  ...[
    '\uFEFF',
    '\u200B',
    '\u200C',
    '\u200D',
    '\u2060',
    '\u00AD',
    '\u200E',
    '\u202E',
    '\u2066',
    '\u3164',
    '\u2800',
  ],
  ...[
    ' ',
    '\t',
    '\r',
    '\n',
    '\u00A0',
    '\u2007',
    '\u202F',
    '\u3000',
    '\u2028',
    '\u0085',
    '\u{E0020}',
    '\uFE0F',
  ],
];

describe('a name that only looks like ours', () => {
  it.each(UNSEEN)('for the unseen character %j in it is a mistake, not another variable', (character) => {
    for (const name of VARIABLES) {
      for (const at of [0, 1, name.indexOf('_') + 1, name.length]) {
        const written = name.slice(0, at) + character + name.slice(at);
        const problems = problemsOf({ [written]: 'hunter2-hunter2', AUTH_SECRET: SECRET });
        expect(problems, JSON.stringify(written)).toEqual([
          `${name} is written with an invisible or a full-width character in its name: type the name anew`,
        ]);
      }
    }
  });

  it.each([
    'ＰＯＲＴ',
    'DATABASE＿URL',
    'ｄａｔａｂａｓｅ＿ｕｒｌ',
    '\uFEFFdatabase_url',
    ' \u200BPORT\u200B ',
  ])('for letters of another width is one, too: %j', (name) => {
    expect(problemsOf({ [name]: 'x', AUTH_SECRET: SECRET })).toEqual([
      expect.stringMatching(/^(PORT|DATABASE_URL) is written with an invisible or a full-width character/),
    ]);
  });

  it('is one although ours is set beside it', () => {
    expect(namesOf(problemsOf({ PORT: '3000', '\uFEFFPORT': '4000' }))).toEqual(['PORT']);
  });

  it('is none in a name of others, and a misspelt one is named without what nobody sees', () => {
    expect(readConfig({ '\uFEFFPATH': '/bin', ' ': 'x', '': 'x' })).toEqual(readConfig({}));
    expect(readConfig({ '\uFEFFDATABASE_URI': 'x' }).warnings).toEqual([
      'DATABASE_URI is not read; if you meant DATABASE_URL, rename it',
    ]);
  });
});

describe('a value that begins or ends with what nobody sees', () => {
  const SOUND: Record<string, string> = {
    DATA_DIR: './data',
    HOST: '127.0.0.1',
    AUDIENCE: 'gatehouse',
    PORT: '3000',
    ISSUER: 'https://login.example.com',
    JWT_ALGORITHM: 'ES256',
    ACCESS_TOKEN_TTL: '10m',
    DOCS: 'off',
    AUTH_SECRET_FILE: '/run/secrets/auth',
    AUTH_SECRET_PREVIOUS_FILE: '/run/secrets/auth',
  };

  it.each(UNSEEN)('such as %j is a mistake', (character) => {
    for (const [name, value] of Object.entries(SOUND)) {
      for (const written of [`${character}${value}`, `${value}${character}`]) {
        expect(problemsOf({ [name]: written }), JSON.stringify([name, written])).toContain(
          `${name} begins or ends with white space or an invisible character: take it away`,
        );
      }
    }
  });

  it.each(UNSEEN.filter((character) => character !== ' '))(
    'such as %j is a mistake in a secret',
    (character) => {
      for (const secret of [`${character}${SECRET}`, `${SECRET}${character} `, ` ${character}${SECRET}`]) {
        expect(problemsOf({ AUTH_SECRET: secret })).toEqual([
          expect.stringMatching(
            /^AUTH_SECRET begins or ends with .* set AUTH_SECRET_PREVIOUS to it as it is$/,
          ),
        ]);
        expect(problemsOf({ AUTH_SECRET_FILE: file('unseen', `${secret}\n`) })).toEqual([
          expect.stringMatching(/^AUTH_SECRET_FILE begins or ends with/),
        ]);
        expect(problemsOf({ ...DATABASE, DATABASE_PASSWORD_FILE: file('unseen', `${secret}\n`) })).toEqual([
          expect.stringMatching(/^DATABASE_PASSWORD_FILE holds a password that begins or ends with/),
        ]);
        // The way out for keys that such a secret has sealed.
        const moved = { AUTH_SECRET: `another ${SECRET}`, AUTH_SECRET_PREVIOUS: secret };
        expect(readConfig(moved).authSecretPrevious).toBe(secret);
      }
    },
  );

  it('may be a list, which drops white space, and a secret that begins or ends with a space', () => {
    expect(readConfig({ TRUST_PROXY: '\n 10.0.0.0/8,\n' }).trustProxy).toEqual(['10.0.0.0/8']);
    expect(readConfig({ AUTH_SECRET: ` ${SECRET} ` }).authSecret).toBe(` ${SECRET} `);
  });

  it('is named once, beside the mistakes of others', () => {
    expect(namesOf(problemsOf({ PORT: ' 80', DOCS: 'off\u200B', LOG_LEVEL: 'loud' })).sort()).toEqual([
      'DOCS',
      'LOG_LEVEL',
      'PORT',
    ]);
  });
});
