/** Values that are right in themselves and cannot stand beside each other. */
import { MAX_TOKEN_CHARACTERS } from '@gatehouse/protocol';

import { haveCommonAddress } from '../domain/networks.js';
import { leavesRoomForNames } from '../domain/tokens/length.js';
import { sourceOf } from './secret-files.js';
import type { Address, Environment, Problems } from './variables.js';

const LIFETIME_ORDER = [
  ['ACCESS_TOKEN_TTL', 'REFRESH_TOKEN_TTL', 'an access token is the short-lived one'],
  ['REFRESH_TOKEN_TTL', 'SESSION_TTL', 'no token outlives its session'],
  ['REFRESH_REPLAY_WINDOW', 'REFRESH_TOKEN_TTL', 'the return of a stolen token would never be noticed'],
] as const;

/** Adds to `problems`. Looks at values that are right in themselves alone: the default in the place of a wrong one contradicts nothing. */
export function findContradictions(values: Environment, problems: Problems): void {
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
  const main = { host: values.HOST, port: values.PORT };
  const { METRICS_ADDRESS, ADMIN_ADDRESS } = values;
  for (const [name, address, other, others] of [
    ['METRICS_ADDRESS', METRICS_ADDRESS, 'PORT', main],
    ['ADMIN_ADDRESS', ADMIN_ADDRESS, 'PORT', main],
    ['ADMIN_ADDRESS', ADMIN_ADDRESS, 'METRICS_ADDRESS', METRICS_ADDRESS],
  ] as const) {
    if (isOneAddress(address, others) && isSound(name, other, 'HOST'))
      problems.set(name, `${name} must have another port than ${other}`);
  }
  if (ADMIN_ADDRESS !== undefined && values.ADMIN === 'off' && isSound('ADMIN_ADDRESS', 'ADMIN'))
    problems.set(
      'ADMIN_ADDRESS',
      'ADMIN_ADDRESS says where /admin is served, and ADMIN=off says nowhere: take one of them away',
    );
  // The embedded PostgreSQL takes 100 connections, of which each worker opens 14.
  if (values.WORKERS > 6 && DATABASE_URL === undefined && isSound('DATABASE_URL'))
    problems.set('WORKERS', 'WORKERS must be at most 6 without DATABASE_URL: set it, or fewer');
  const issuer = values.ISSUER ?? `http://localhost:${values.PORT}`;
  const longer = Buffer.byteLength(issuer) > Buffer.byteLength(values.AUDIENCE) ? 'ISSUER' : 'AUDIENCE';
  if (!leavesRoomForNames({ issuer, audience: values.AUDIENCE }) && isSound('AUDIENCE', 'ISSUER'))
    problems.set(
      longer,
      `${longer} is too long: with ISSUER and AUDIENCE, tokens of long user names would be longer than ${MAX_TOKEN_CHARACTERS} characters; set a shorter one`,
    );
  // A resource server that forgets `typ` would take a refresh token for an access token.
  if (values.AUDIENCE === issuer && isSound('AUDIENCE', 'ISSUER')) {
    problems.set('AUDIENCE', 'AUDIENCE must differ from ISSUER, which is the audience of refresh tokens');
  }
  if (values.DATABASE_PASSWORD_FILE !== undefined && DATABASE_URL === undefined && isSound('DATABASE_URL')) {
    problems.set(
      'DATABASE_PASSWORD_FILE',
      'DATABASE_PASSWORD_FILE completes DATABASE_URL, which is missing: set both or none',
    );
  }
}

function isOneAddress(one: Address | undefined, other: Address | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.port === other.port && haveCommonAddress(one.host, other.host);
}
