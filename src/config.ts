/** Environment in, one frozen and typed Config out; every mistake is named at once. */
import { readFileSync } from 'node:fs';

import type { JwtAlgorithm } from './domain/keys.js';
import {
  DURATIONS,
  environmentSchema,
  explainName,
  findOwnName,
  findTypos,
  findUnseenEnds,
  hasUnseenEnd,
  UNSEEN_END,
  warnAboutIssuer,
  type Environment,
} from './variables.js';

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
  const problems: Problems = new Map(findUnseenEnds(environment));
  for (const name of Object.keys(environment)) {
    const own = findOwnName(name);
    if (own !== undefined && own !== name) problems.set(own, explainName(own));
  }
  takeSecretFiles(given, problems);
  const values = parse(given, problems);
  findContradictions(values, problems);
  const url = completeUrl(values, problems);
  if (problems.size > 0) throw new ConfigError([...problems.values()]);
  const issuerUrl = values.ISSUER ?? `http://localhost:${values.PORT}`;
  const warnings = [...warnAboutIssuer(issuerUrl), ...findTypos(environment)];
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
    const name = sourceOf(String(path[0]), given);
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
    const name = sourceOf('AUTH_SECRET_PREVIOUS', values);
    problems.set(name, `${name} equals AUTH_SECRET: set AUTH_SECRET to a new secret, or take ${name} away`);
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

/** Secrets that a file may hold in the place of their variable. */
const SECRET_FILES = {
  AUTH_SECRET: 'AUTH_SECRET_FILE',
  AUTH_SECRET_PREVIOUS: 'AUTH_SECRET_PREVIOUS_FILE',
} as const;

/** Where the value of a setting came from: the variable of its file, where there is one. */
function sourceOf(name: string, given: Record<string, unknown>): string {
  const file = (SECRET_FILES as Record<string, string>)[name];
  return file !== undefined && given[file] !== undefined ? file : name;
}

/** Puts the content of each file in the place of the variable that it stands for. */
function takeSecretFiles(given: Record<string, string | undefined>, problems: Problems): void {
  for (const [name, fileName] of Object.entries(SECRET_FILES)) {
    if (given[fileName] === undefined) continue;
    if (given[name] === undefined) given[name] = readFile(fileName, given[fileName], 'secret', problems);
    else problems.set(fileName, `${name} and ${fileName} are both set: keep one`);
  }
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
  const password = readFile(name, DATABASE_PASSWORD_FILE, 'password', problems);
  if (password === undefined) return null;
  if (hasUnseenEnd(password.replace(/^ +| +$/g, ''))) {
    problems.set(name, `${name} holds a password that ${UNSEEN_END}`);
    return null;
  }
  url.password = encodeURIComponent(password);
  // A URL without a host takes no password, and says nothing.
  if (url.password === '') problems.set(name, `${name} needs a host in DATABASE_URL: add one`);
  return url.href;
}

/** What a file of ours holds, without the line break at its end; undefined, and a problem, when it holds nothing to use. */
function readFile(
  name: string,
  path: string,
  what: 'secret' | 'password',
  problems: Problems,
): string | undefined {
  if (problems.has(name)) return undefined;
  let why = `is empty: put the ${what} into the file`;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
    const content = text.replace(/\r?\n$/, '');
    if (content !== '') return content;
  } catch (error) {
    why = explainUnreadable(error as NodeJS.ErrnoException);
  }
  problems.set(name, `${name} ${why}`);
  return undefined;
}

function explainUnreadable({ code = 'unknown error' }: NodeJS.ErrnoException): string {
  // Read all the same, it would be something else than it is: many secrets would be read as equal.
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not UTF-8 text: save the file as UTF-8';
  return `cannot be read (${code}): set it to a file that this user may read`;
}
