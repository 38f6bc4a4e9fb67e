/** Environment in, one frozen and typed Config out; every mistake is named at once. */
import { readFileSync } from 'node:fs';

import type { JwtAlgorithm } from './domain/keys.js';
import { DURATIONS, environmentSchema, findUnread, warnAboutIssuer, type Environment } from './variables.js';

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
  /** How many processes serve; 1: this one. */
  workers: number;
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
  accountPage: boolean;
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

const LIFETIME_ORDER = [
  ['ACCESS_TOKEN_TTL', 'REFRESH_TOKEN_TTL', 'an access token is the short-lived one'],
  ['REFRESH_TOKEN_TTL', 'SESSION_TTL', 'no token outlives its session'],
  ['REFRESH_REPLAY_WINDOW', 'REFRESH_TOKEN_TTL', 'the return of a stolen token would never be noticed'],
] as const;

/** What is wrong with which variable: the first mistake of each. */
type Problems = Map<string, string>;

/**
 * Reads the environment whole.
 *
 * @param environment names to values; empty values count as absent, which is how Compose files and `.env` say "none";
 *   but for durations, which all have a value
 * @throws {ConfigError} with every mistake
 */
export function readConfig(environment: Record<string, string | undefined>): Readonly<Config> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => value !== '' || DURATIONS.has(name)),
  );
  const problems: Problems = new Map();
  takeSecretFile(given, problems);
  const values = parse(given, problems);
  findContradictions(values, problems);
  const url = completeUrl(values, problems);
  if (problems.size > 0) throw new ConfigError([...problems.values()]);
  const issuerUrl = values.ISSUER ?? `http://localhost:${values.PORT}`;
  const warnings = [...warnAboutIssuer(issuerUrl), ...findUnread(environment)];
  for (const list of [values.CORS_ORIGINS, values.TRUST_PROXY, warnings]) Object.freeze(list);
  return Object.freeze({
    databaseUrl: url,
    authSecret: values.AUTH_SECRET ?? null,
    authSecretPrevious: values.AUTH_SECRET_PREVIOUS ?? null,
    dataDir: values.DATA_DIR,
    host: values.HOST,
    port: values.PORT,
    workers: values.WORKERS,
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
    accountPage: values.ACCOUNT_PAGE === 'on',
    logLevel: values.LOG_LEVEL,
    warnings,
  });
}

/** The values that are right in themselves, and defaults for the others, so that the search for mistakes goes on. */
function parse(given: Record<string, string | undefined>, problems: Problems): Environment {
  const parsed = environmentSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const wrong = new Set(parsed.error.issues.map(({ path }) => String(path[0])));
  for (const { path, message } of parsed.error.issues) {
    const isFromFile = path[0] === 'AUTH_SECRET' && given['AUTH_SECRET_FILE'] !== undefined;
    const name = isFromFile ? 'AUTH_SECRET_FILE' : String(path[0]);
    if (!problems.has(name)) problems.set(name, `${name} ${message}`);
  }
  return environmentSchema.parse(
    Object.fromEntries(Object.entries(given).filter(([name]) => !wrong.has(name))),
  );
}

/** Looks at values that are right in themselves alone: the default in the place of a wrong one contradicts nothing. */
function findContradictions(values: Environment, problems: Problems): void {
  const isSound = (...names: string[]) => !names.some((name) => problems.has(name));
  const { DATABASE_URL, AUTH_SECRET, AUTH_SECRET_PREVIOUS } = values;
  for (const [shorter, longer, why] of LIFETIME_ORDER) {
    if (values[shorter] > values[longer] && isSound(shorter, longer))
      problems.set(shorter, `${shorter} must not be longer than ${longer}: ${why}`);
  }
  const lacksSecret = AUTH_SECRET === undefined && isSound('AUTH_SECRET', 'AUTH_SECRET_FILE');
  if (lacksSecret && (DATABASE_URL !== undefined || !isSound('DATABASE_URL'))) {
    problems.set(
      'AUTH_SECRET',
      'AUTH_SECRET (or AUTH_SECRET_FILE) is required with DATABASE_URL: make one with `openssl rand -base64 48`',
    );
  }
  if (AUTH_SECRET_PREVIOUS !== undefined && AUTH_SECRET_PREVIOUS === AUTH_SECRET) {
    problems.set(
      'AUTH_SECRET_PREVIOUS',
      'AUTH_SECRET_PREVIOUS equals AUTH_SECRET: set AUTH_SECRET to a new secret, or take AUTH_SECRET_PREVIOUS away',
    );
  }
  // The embedded PostgreSQL takes 100 connections, of which each worker opens 14.
  if (values.WORKERS > 6 && DATABASE_URL === undefined && isSound('DATABASE_URL'))
    problems.set('WORKERS', 'WORKERS must be at most 6 without DATABASE_URL: set it, or fewer');
  // A resource server that forgets `typ` would take a refresh token for an access token.
  if (
    values.AUDIENCE === (values.ISSUER ?? `http://localhost:${values.PORT}`) &&
    isSound('AUDIENCE', 'ISSUER')
  ) {
    problems.set('AUDIENCE', 'AUDIENCE must differ from ISSUER, which is the audience of refresh tokens');
  }
  if (values.DATABASE_PASSWORD_FILE !== undefined && DATABASE_URL === undefined && isSound('DATABASE_URL')) {
    problems.set(
      'DATABASE_PASSWORD_FILE',
      'DATABASE_PASSWORD_FILE completes DATABASE_URL, which is missing: set both or none',
    );
  }
}

/** Puts the content of AUTH_SECRET_FILE in the place of AUTH_SECRET. */
function takeSecretFile(given: Record<string, string | undefined>, problems: Problems): void {
  const file = given['AUTH_SECRET_FILE'];
  if (file === undefined) return;
  if (given['AUTH_SECRET'] !== undefined) {
    problems.set('AUTH_SECRET_FILE', 'AUTH_SECRET and AUTH_SECRET_FILE are both set: keep one');
    return;
  }
  given['AUTH_SECRET'] = readFile('AUTH_SECRET_FILE', file, problems);
}

function completeUrl(values: Environment, problems: Problems): string | null {
  const { DATABASE_URL, DATABASE_PASSWORD_FILE } = values;
  if (DATABASE_URL === undefined || DATABASE_PASSWORD_FILE === undefined) return DATABASE_URL ?? null;
  const name = 'DATABASE_PASSWORD_FILE';
  const url = new URL(DATABASE_URL);
  if (url.password !== '') {
    problems.set(name, `${name} is set, but DATABASE_URL has a password already: keep one`);
    return null;
  }
  const password = readFile(name, DATABASE_PASSWORD_FILE, problems);
  if (password === undefined) return null;
  url.password = encodeURIComponent(password);
  // A URL without a host takes no password, and says nothing.
  if (password === '') problems.set(name, `${name} is empty: put the password into the file`);
  else if (url.password === '') problems.set(name, `${name} needs a host in DATABASE_URL: add one`);
  return url.href;
}

function readFile(name: string, path: string, problems: Problems): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.set(
      name,
      `${name} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}): set it to a file that this user may read`,
    );
    return undefined;
  }
}
