/** What each environment variable may hold, what it stands for, and its default. */
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

import { findDoubt, findUnusableFile, UNSEEN } from '../database/database-url.js';
import { EVENTS } from '../domain/events/kept.js';
import { JWT_ALGORITHMS } from '../domain/keys/keys.js';
import { isLoopback, isRange } from '../domain/networks.js';
import { isKeyMaterial, isMonotonous } from '../domain/keys/secrets.js';
import { MAX_GRACE_SECONDS } from '../domain/tokens/grace.js';
import { refuseOrigin } from './origins.js';

export const UNSEEN_END = 'begins or ends with white space or an invisible character: take it away';

/** Whether one of its ends is not to be seen. */
export function hasUnseenEnd(text: string): boolean {
  const characters = Array.from(text);
  return UNSEEN.test(characters.at(0) ?? '') || UNSEEN.test(characters.at(-1) ?? '');
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

function duration(options: { atLeastSeconds?: number; atMostSeconds?: number; mayBeZero?: boolean } = {}) {
  const { atLeastSeconds = 1, atMostSeconds = 10 * 365 * 86_400, mayBeZero = false } = options;
  const form = mayBeZero ? /^(?:0|[0-9]{1,9}[smhd])$/ : /^[0-9]{1,9}[smhd]$/;
  return z
    .string()
    .regex(
      form,
      `must be a duration such as 30s, 10m, 12h or 14d${mayBeZero ? ', or 0 to switch it off' : ''}, or not be set at all`,
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

/** Where something is served. */
export interface Address {
  host: string;
  port: number;
}

/** Name or address and a port, as in `127.0.0.1:9464`, `[::1]:9464` or `0.0.0.0:9464`. */
const address = z.string().transform((text, context): Address => {
  const { name, inBrackets, port = '' } = ADDRESS.exec(text)?.groups ?? {};
  const host = inBrackets ?? name;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
  context.addIssue('must be an address and a port, such as 127.0.0.1:9464 or [::1]:9464');
  return z.NEVER;
});
const ADDRESS = /^(?:(?<name>[A-Za-z0-9._-]+)|\[(?<inBrackets>[0-9A-Fa-f:.]+)\]):(?<port>[0-9]{1,5})$/;

const list = z.string().transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));

const secret = z
  .string()
  .refine(
    (text) => !isKeyMaterial(text),
    'is or holds a PEM, DER or JWK key, or a token: it must be a random secret of its own, make one with `openssl rand -base64 48`',
  )
  .refine(
    (text) => Buffer.byteLength(text) >= 32,
    'must be at least 32 bytes: make one with `openssl rand -base64 48`',
  )
  .refine(
    (text) => !isMonotonous(text),
    'repeats itself or only counts: make one with `openssl rand -base64 48`',
  )
  .refine(
    (text) => !/openssl rand|change[-_ ]?(?:me|this)|(?:your|example)[-_ ].*secret|replace[-_ ]/i.test(text),
    'is the placeholder of an example: make one with `openssl rand -base64 48`',
  );

const databaseUrl = z.string().superRefine((text, context) => {
  const doubt = findDoubt(text) ?? findUnusableFile(text)?.replace(/^DATABASE_URL /, '');
  if (doubt !== undefined) context.addIssue(doubt);
});

// The URL parser is lenient: it drops white space and adds slashes. An issuer is compared as text.
const issuer = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^\s?#@\\]*[^\s?#@\\/]$/.test(text) && URL.canParse(text),
    'must be an https URL without query, fragment, user or trailing slash, such as https://login.example.com',
  );

const collector = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^\s?#@\\]+$/.test(text) && URL.canParse(text),
    'must be an http or https URL without user, query or fragment, such as http://127.0.0.1:4318; passwords go into OTEL_EXPORTER_OTLP_HEADERS',
  );

const originList = list.superRefine((origins, context) => {
  const reasons = origins.map(refuseOrigin);
  const place = reasons.findIndex((reason) => reason !== null);
  if (place === -1) return;
  const form =
    'must be exact origins such as https://app.example.com or capacitor://localhost, separated by commas';
  context.addIssue({ code: 'custom', message: `${form}: number ${place + 1} ${reasons[place] ?? ''}` });
});

export const environmentSchema = z.object({
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_PASSWORD_FILE: z.string().optional(),
  AUTH_SECRET: secret
    .refine(
      (text) => !hasUnseenEnd(text.replace(/^ +| +$/g, '')),
      `${UNSEEN_END}; if it sealed the keys, set AUTH_SECRET_PREVIOUS to it as it is`,
    )
    .optional(),
  AUTH_SECRET_FILE: z.string().optional(),
  AUTH_SECRET_PREVIOUS: secret.optional(),
  AUTH_SECRET_PREVIOUS_FILE: z.string().optional(),
  DATA_DIR: z
    .string()
    .refine((text) => !text.includes('://'), 'must be a directory, and holds a URL: was DATABASE_URL meant?')
    .default('./data'),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(1, 65_535).default(3000),
  WORKERS: wholeNumber(1, 64).default(1),
  ISSUER: issuer.optional(),
  AUDIENCE: z.string().max(256, 'must be at most 256 characters').default('gatehouse'),
  JWT_ALGORITHM: z.enum(JWT_ALGORITHMS, `must be one of ${JWT_ALGORITHMS.join(', ')}`).default('EdDSA'),
  ACCESS_TOKEN_TTL: duration({ atLeastSeconds: 30 }).default(600),
  REFRESH_TOKEN_TTL: duration().default(14 * 86_400),
  SESSION_TTL: duration().default(90 * 86_400),
  REISSUE_GRACE: duration({ atMostSeconds: MAX_GRACE_SECONDS, mayBeZero: true }).default(60),
  REISSUE_MAX: wholeNumber(0, 1_000_000).default(90),
  REFRESH_REPLAY_WINDOW: duration({ atMostSeconds: 300, mayBeZero: true }).default(30),
  SESSIONS_PER_USER: wholeNumber(1, 1000).optional(),
  PASSWORD_MIN_LENGTH: wholeNumber(8, 64).default(15),
  CORS_ORIGINS: originList.default([]),
  TRUST_PROXY: list
    .refine(
      (ranges) => ranges.every(isRange),
      'must be addresses or CIDR ranges such as 10.0.0.0/8, separated by commas',
    )
    .default([]),
  GATEWAY_EXT: z.enum(['on', 'off'], 'must be on or off').default('off'),
  DOCS: z.enum(['on', 'off'], 'must be on or off').default('on'),
  ADMIN: z.enum(['on', 'off'], 'must be on or off').default('on'),
  ADMIN_ADDRESS: address.optional(),
  ACCOUNT_PAGE: z.enum(['on', 'off'], 'must be on or off').default('on'),
  ACCOUNT_HELP: z
    .string()
    .max(300, 'must be at most 300 characters')
    .default('Forgot your password? Ask the people who run this service for a new one.'),
  METRICS_ADDRESS: address.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: collector.optional(),
  EVENTS: z.enum(EVENTS, `must be one of ${EVENTS.join(', ')}`).default('all'),
  EVENTS_RETENTION: duration({ atLeastSeconds: 3600 }).default(90 * 86_400),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
});

export type Environment = z.infer<typeof environmentSchema>;

/** What is wrong with which variable: the first mistake of each. */
export type Problems = Map<string, string>;

/** The names of all settings. */
export const VARIABLES: readonly string[] = Object.keys(environmentSchema.shape);

/** Empty, these are refused instead of counting as absent: a lifetime whose value got lost is no wish for our default. */
export const DURATIONS: ReadonlySet<string> = new Set<keyof Environment>([
  'ACCESS_TOKEN_TTL',
  'REFRESH_TOKEN_TTL',
  'SESSION_TTL',
  'REISSUE_GRACE',
  'REFRESH_REPLAY_WINDOW',
  'EVENTS_RETENTION',
]);

/** A warning where what the issuer's address says is allowed, but probably not meant. */
export function warnAboutIssuer(issuerUrl: string): string[] {
  const { protocol, hostname } = new URL(issuerUrl);
  if (protocol === 'https:' || isLoopback(hostname)) return [];
  return ['ISSUER is http: tokens and passwords can be read on the way; put TLS in front and use https'];
}
