/** Environment in, one frozen and typed Config out; every mistake is named at once. */
import { warnAboutUrl } from '../database/database-url.js';
import type { Events } from '../domain/events/kept.js';
import type { JwtAlgorithm } from '../domain/keys/keys.js';
import { findContradictions } from './contradictions.js';
import { explainName, findOwnName, findUnread, findUnseenEnds } from './names.js';
import { completeUrl, sourceOf, takeSecretFiles } from './secret-files.js';
import {
  DURATIONS,
  environmentSchema,
  warnAboutIssuer,
  type Address,
  type Environment,
  type Problems,
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
  /** Null: any number. */
  sessionsPerUser: number | null;
  /** In characters; of passwords that are set from now on. */
  passwordMinLength: number;
  corsOrigins: string[];
  trustProxy: string[];
  /** Whether gateways are told what backends say in `ext`. */
  gatewayExt: boolean;
  docs: boolean;
  /** Whether operators are served over HTTP. */
  admin: boolean;
  /** Where `/admin` is served, and nowhere else; null: beside everything else. */
  adminAddress: Address | null;
  accountPage: boolean;
  /** What the account page says to somebody who cannot sign in. */
  accountHelp: string;
  /** Where metrics are served; null: nothing is measured. */
  metricsAddress: Address | null;
  /** Base of the addresses of the collector that spans are sent to; null: nothing is traced. */
  otlpEndpoint: string | null;
  /** Which events are kept. */
  events: Events;
  eventsRetentionSeconds: number;
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
  const warnings = [
    ...warnAboutIssuer(issuerUrl),
    ...(url === null ? [] : warnAboutUrl(url)),
    ...findUnread(environment),
  ];
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
    sessionsPerUser: values.SESSIONS_PER_USER ?? null,
    passwordMinLength: values.PASSWORD_MIN_LENGTH,
    corsOrigins: values.CORS_ORIGINS,
    trustProxy: values.TRUST_PROXY,
    gatewayExt: values.GATEWAY_EXT === 'on',
    docs: values.DOCS === 'on',
    admin: values.ADMIN === 'on',
    adminAddress: values.ADMIN_ADDRESS ?? null,
    accountPage: values.ACCOUNT_PAGE === 'on',
    accountHelp: values.ACCOUNT_HELP,
    metricsAddress: values.METRICS_ADDRESS ?? null,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT ?? null,
    events: values.EVENTS,
    eventsRetentionSeconds: values.EVENTS_RETENTION,
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
