/** What each environment variable may hold, what it stands for, and its default. */
import { isIP } from 'node:net';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

import { JWT_ALGORITHMS } from './domain/keys.js';
import { isKeyMaterial, isMonotonous } from './domain/secrets.js';

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

const databaseUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^postgres(?:ql)?:$/.test(url.protocol) && url.pathname.length > 1;
}, 'must be a URL such as postgresql://user@host:5432/name');

// The URL parser is lenient: it drops white space and adds slashes. An issuer is compared as text.
const issuer = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^\s?#@\\]*[^\s?#@\\/]$/.test(text) && URL.canParse(text),
    'must be an https URL without query, fragment, user or trailing slash, such as https://login.example.com',
  );

export const environmentSchema = z.object({
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_PASSWORD_FILE: z.string().optional(),
  AUTH_SECRET: secret.optional(),
  AUTH_SECRET_FILE: z.string().optional(),
  AUTH_SECRET_PREVIOUS: secret.optional(),
  DATA_DIR: z.string().default('./data'),
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(1, 65_535).default(3000),
  WORKERS: wholeNumber(1, 64).default(1),
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
  ACCOUNT_PAGE: z.enum(['on', 'off'], 'must be on or off').default('on'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
});

export type Environment = z.infer<typeof environmentSchema>;

/** The names of all settings. */
export const VARIABLES: readonly string[] = Object.keys(environmentSchema.shape);

/** Empty, these are refused instead of counting as absent: a lifetime whose value got lost is no wish for our default. */
export const DURATIONS: ReadonlySet<string> = new Set<keyof Environment>([
  'ACCESS_TOKEN_TTL',
  'REFRESH_TOKEN_TTL',
  'SESSION_TTL',
  'REISSUE_GRACE',
  'REFRESH_REPLAY_WINDOW',
]);

/** A warning where what the issuer's address says is allowed, but probably not meant. */
export function warnAboutIssuer(issuerUrl: string): string[] {
  const { protocol, hostname } = new URL(issuerUrl);
  if (protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return [];
  return ['ISSUER is http: tokens and passwords can be read on the way; put TLS in front and use https'];
}

/** Names like HOST and PORT are one letter away from those of other programs. */
const LEAST_TYPO_LENGTH = 6;

/** Warnings of variables that are not read, where somebody may believe that they are. */
export function findUnread(environment: Record<string, string | undefined>): string[] {
  return [...findTypos(environment), ...findClientVariables(environment)];
}

/** A warning for each variable that is not ours, but whose name looks as if it was meant to be. */
function findTypos(environment: Record<string, string | undefined>): string[] {
  return Object.keys(environment).flatMap((name) => {
    if (VARIABLES.includes(name) || name.length < LEAST_TYPO_LENGTH) return [];
    const meant = VARIABLES.find(
      (ours) => ours.length >= LEAST_TYPO_LENGTH && isTypo(name.toUpperCase(), ours),
    );
    return meant === undefined || environment[meant] !== undefined
      ? []
      : [`${name} is not read; if you meant ${meant}, rename it`];
  });
}

/** A warning that names the variables of PostgreSQL's own clients, which change no connection of ours. */
function findClientVariables(environment: Record<string, string | undefined>): string[] {
  const names = Object.keys(environment).filter((name) => /^PG[A-Z]/i.test(name));
  if (names.length === 0) return [];
  return [`not read: ${names.sort().join(', ')}; what a connection needs goes into DATABASE_URL`];
}

/** Whether one letter is wrong, missing or too many, or two neighbours are swapped. */
function isTypo(text: string, meant: string): boolean {
  let start = 0;
  while (start < meant.length && text[start] === meant[start]) start += 1;
  const [rest, ours] = [text.slice(start), meant.slice(start)];
  const swapped = `${ours[1] ?? ''}${ours[0] ?? ''}${ours.slice(2)}`;
  return (
    rest === ours ||
    rest.slice(1) === ours.slice(1) ||
    rest === ours.slice(1) ||
    rest.slice(1) === ours ||
    rest === swapped
  );
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text && !text.includes('*');
}

function isCidr(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  // /0 would believe everybody; the library that takes this list refuses to start with it.
  return bits === undefined || (/^[1-9][0-9]{0,2}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
