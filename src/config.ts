/** Environment in, one frozen and typed Config out; every mistake is named at once. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

import { JWT_ALGORITHMS, type JwtAlgorithm } from './domain/keys.js';

export interface Config {
  /** Null: the embedded database under `dataDir`. */
  databaseUrl: string | null;
  /** Null: made once under `dataDir`, for the embedded database only. */
  authSecret: string | null;
  /** Opens what `authSecret` does not, while `keys reencrypt` is due. */
  authSecretPrevious: string | null;
  dataDir: string;
  host: string;
  port: number;
  issuer: string;
  audience: string;
  jwtAlgorithm: JwtAlgorithm;
  accessTtlSeconds: number;
  refreshTtlSeconds: number;
  sessionTtlSeconds: number;
  reissueGraceSeconds: number;
  reissueMax: number;
  replayWindowSeconds: number;
  corsOrigins: string[];
  trustProxy: string[];
  docs: boolean;
  logLevel: string;
  /** What is allowed but probably not meant, to be logged at start. */
  warnings: string[];
}

/** All that is wrong with the environment, a line each; values are never shown. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: string[];

  constructor(problems: string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

function duration(options: { atLeastSeconds?: number; atMostSeconds?: number; mayBeZero?: boolean } = {}) {
  const { atLeastSeconds = 1, atMostSeconds = 10 * 365 * 86_400, mayBeZero = false } = options;
  const form = mayBeZero ? /^(?:0|[0-9]{1,9}[smhd])$/ : /^[0-9]{1,9}[smhd]$/;
  return z
    .string()
    .regex(
      form,
      `must be a duration such as 30s, 10m, 12h or 14d${mayBeZero ? ', or 0 to switch it off' : ''}`,
    )
    .transform((text) => (text === '0' ? 0 : ms(text as StringValue) / 1000))
    .refine(
      (seconds) => (mayBeZero && seconds === 0) || seconds >= atLeastSeconds,
      `must be at least ${atLeastSeconds}s`,
    )
    .refine((seconds) => seconds <= atMostSeconds, `must be at most ${ms(atMostSeconds * 1000)}`);
}

function wholeNumber(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^[0-9]{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= least && value <= most, message);
}

const list = z.string().transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));

const secret = z
  .string()
  .refine(
    (text) => Buffer.byteLength(text) >= 32,
    'must be at least 32 bytes: make one with `openssl rand -base64 48`',
  )
  .refine((text) => new Set(text).size >= 8, 'repeats itself: make one with `openssl rand -base64 48`')
  .refine(
    (text) => !/^\s*(?:-----BEGIN |\{)/.test(text),
    'looks like a PEM or JWK key: it must be a random secret, make one with `openssl rand -base64 48`',
  );

const databaseUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(?:ql)?:$/.test(url.protocol) && url.pathname.length > 1;
}, 'must be a URL such as postgresql://user@host:5432/name');

const issuer = z.string().refine((text) => {
  const url = URL.parse(text);
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    !text.endsWith('/')
  );
}, 'must be an https URL without query, fragment, user or trailing slash, such as https://login.example.com');

const environmentSchema = z.object({
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_PASSWORD_FILE: z.string().optional(),
  AUTH_SECRET: secret.optional(),
  AUTH_SECRET_FILE: z.string().optional(),
  AUTH_SECRET_PREVIOUS: secret.optional(),
  DATA_DIR: z.string().default('./data'),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(1, 65_535).default(3000),
  ISSUER: issuer.optional(),
  AUDIENCE: z.string().max(256, 'must be at most 256 characters').default('gatehouse'),
  JWT_ALGORITHM: z.enum(JWT_ALGORITHMS, `must be one of ${JWT_ALGORITHMS.join(', ')}`).default('EdDSA'),
  ACCESS_TOKEN_TTL: duration({ atLeastSeconds: 30 }).default(600),
  REFRESH_TOKEN_TTL: duration().default(14 * 86_400),
  SESSION_TTL: duration().default(90 * 86_400),
  REISSUE_GRACE: duration({ atMostSeconds: 300, mayBeZero: true }).default(60),
  REISSUE_MAX: wholeNumber(0, 1_000_000).default(90),
  REFRESH_REPLAY_WINDOW: duration({ atMostSeconds: 300, mayBeZero: true }).default(30),
  CORS_ORIGINS: list
    .refine(
      (origins) => origins.every(isOrigin),
      'must be exact origins such as https://app.example.com, separated by commas',
    )
    .default([]),
  TRUST_PROXY: list
    .refine(
      (cidrs) => cidrs.every(isCidr),
      'must be addresses or CIDR ranges such as 10.0.0.0/8, separated by commas',
    )
    .default([]),
  DOCS: z.enum(['on', 'off'], 'must be on or off').default('on'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
});

type Environment = z.infer<typeof environmentSchema>;

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text;
}

function isCidr(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/**
 * Reads the environment whole.
 *
 * @param environment names to values; empty values count as absent
 * @throws {ConfigError} with every mistake
 */
export function readConfig(environment: Record<string, string | undefined>): Readonly<Config> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const problems: string[] = [];
  takeSecretFile(given, problems);
  const parsed = environmentSchema.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) problems.push(`${path.join('.')} ${message}`);
  if (!parsed.success) throw new ConfigError(problems);
  const values = parsed.data;
  problems.push(...contradictions(values));
  const url = completeUrl(values, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const issuerUrl = values.ISSUER ?? `http://localhost:${values.PORT}`;
  return Object.freeze({
    databaseUrl: url,
    authSecret: values.AUTH_SECRET ?? null,
    authSecretPrevious: values.AUTH_SECRET_PREVIOUS ?? null,
    dataDir: values.DATA_DIR,
    host: values.HOST,
    port: values.PORT,
    issuer: issuerUrl,
    audience: values.AUDIENCE,
    jwtAlgorithm: values.JWT_ALGORITHM,
    accessTtlSeconds: values.ACCESS_TOKEN_TTL,
    refreshTtlSeconds: values.REFRESH_TOKEN_TTL,
    sessionTtlSeconds: values.SESSION_TTL,
    reissueGraceSeconds: values.REISSUE_GRACE,
    reissueMax: values.REISSUE_MAX,
    replayWindowSeconds: values.REFRESH_REPLAY_WINDOW,
    corsOrigins: values.CORS_ORIGINS,
    trustProxy: values.TRUST_PROXY,
    docs: values.DOCS === 'on',
    logLevel: values.LOG_LEVEL,
    warnings: warningsAbout(issuerUrl),
  });
}

function contradictions(values: Environment): string[] {
  const problems: string[] = [];
  if (values.ACCESS_TOKEN_TTL > values.REFRESH_TOKEN_TTL) {
    problems.push(
      'ACCESS_TOKEN_TTL must not be longer than REFRESH_TOKEN_TTL: an access token is the short-lived one',
    );
  }
  if (values.REFRESH_TOKEN_TTL > values.SESSION_TTL) {
    problems.push('REFRESH_TOKEN_TTL must not be longer than SESSION_TTL: no token outlives its session');
  }
  if (values.DATABASE_URL !== undefined && values.AUTH_SECRET === undefined) {
    problems.push(
      'AUTH_SECRET (or AUTH_SECRET_FILE) is required with DATABASE_URL: make one with `openssl rand -base64 48`',
    );
  }
  if (values.DATABASE_PASSWORD_FILE !== undefined && values.DATABASE_URL === undefined) {
    problems.push('DATABASE_PASSWORD_FILE completes DATABASE_URL, which is missing');
  }
  return problems;
}

/** Puts the content of AUTH_SECRET_FILE in the place of AUTH_SECRET. */
function takeSecretFile(given: Record<string, string | undefined>, problems: string[]): void {
  const file = given['AUTH_SECRET_FILE'];
  if (file === undefined) return;
  if (given['AUTH_SECRET'] !== undefined) {
    problems.push('AUTH_SECRET and AUTH_SECRET_FILE are both set: keep one');
    return;
  }
  given['AUTH_SECRET'] = readFile('AUTH_SECRET_FILE', file, problems);
}

function completeUrl(values: Environment, problems: string[]): string | null {
  if (values.DATABASE_URL === undefined) return null;
  if (values.DATABASE_PASSWORD_FILE === undefined) return values.DATABASE_URL;
  const url = new URL(values.DATABASE_URL);
  if (url.password !== '') {
    problems.push('DATABASE_PASSWORD_FILE is set, but DATABASE_URL has a password already: keep one');
    return null;
  }
  url.password = encodeURIComponent(
    readFile('DATABASE_PASSWORD_FILE', values.DATABASE_PASSWORD_FILE, problems) ?? '',
  );
  return url.href;
}

function readFile(name: string, path: string, problems: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    problems.push(`${name} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
    return undefined;
  }
}

function warningsAbout(issuerUrl: string): string[] {
  const { protocol, hostname } = new URL(issuerUrl);
  if (protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return [];
  return ['ISSUER is http: tokens and passwords can be read on the way; put TLS in front and use https'];
}
