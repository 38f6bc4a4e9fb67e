/** What each environment variable may hold, what it stands for, and its default. */
import { isIP } from 'node:net';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

import { JWT_ALGORITHMS } from './domain/keys.js';

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

export type Environment = z.infer<typeof environmentSchema>;

/** The names of all settings. */
export const VARIABLES: readonly string[] = Object.keys(environmentSchema.shape);

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
