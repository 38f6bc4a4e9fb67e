/** What `gatehouse clients` reads of what was typed about a client, and how it says what one may do. */
import { CLIENT_ID } from '@gatehouse/protocol';
import { InvalidArgumentError } from 'commander';

import { PERMISSIONS, type Client, type Permission } from '../domain/clients.js';
import { explainClientAudiences } from '../domain/tokens/session-claims.js';
import { Refusal } from './output.js';

export const AUDIENCE_HELP = 'for whose tokens alone; repeat it for several; no limit by default';

/** What a client is to have. */
export interface Granting {
  permission?: Permission[];
  audience?: string[];
}

/** @returns null where neither was said: then nothing changes */
export function readChange<Name extends string>(
  given: Name[] | undefined,
  isNone: boolean,
  name: string,
): Name[] | null {
  if (given === undefined) return isNone ? [] : null;
  if (isNone) throw new Refusal(`--${name} and --no-${name}s do not go together`, { isWrongUsage: true });
  return given;
}

export function describeClient({ permissions, audiences }: Client): string {
  const does = permissions.length === 0 ? 'may do nothing' : `may ${permissions.join(' and ')}`;
  return audiences.length === 0 ? does : `${does}, for ${audiences.join(' and ')} alone`;
}

export function parseClientId(id: string): string {
  if (CLIENT_ID.test(id)) return id;
  throw new InvalidArgumentError(
    'It is up to 100 letters, digits, dots, hyphens and underscores, begins with a letter or a digit, and is not gatehouse.',
  );
}

export function collectPermissions(text: string, previous: Permission[] | undefined): Permission[] {
  const permission = PERMISSIONS.find((known) => known === text);
  if (permission === undefined) throw new InvalidArgumentError(`It is one of ${PERMISSIONS.join(', ')}.`);
  return [...new Set(previous).add(permission)];
}

export function collectAudiences(text: string, previous: string[] = []): string[] {
  const audiences = [...new Set(previous).add(text)];
  const problem = explainClientAudiences(audiences);
  if (problem !== null) throw new InvalidArgumentError(`The audiences of a client ${problem}.`);
  return audiences;
}
