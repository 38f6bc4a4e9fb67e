/** Which user a command of `gatehouse users` is about: by name, by id, or as a client calls the user. */
import { isExternalId } from '@gatehouse/protocol';
import { InvalidArgumentError, type Command } from 'commander';

import type { Database } from '../database/prisma.js';
import { isUuid } from '../domain/tokens/claims.js';
import { subjectId } from '../domain/tokens/subjects.js';
import { findUser, findUserById, type FoundUser, type Whom } from '../domain/users/found.js';
import { parseClientId } from './client-options.js';
import { Refusal, toLine } from './output.js';

/** A user as the client calls it that opens sessions for the user. */
export interface OfClient {
  clientId?: string;
  externalId?: string;
}

export function takeUser(command: Command): Command {
  return command
    .argument('[name]', 'user name, or id')
    .option(
      '--client-id <id>',
      'in place of the name: the client that opens sessions for the user',
      parseClientId,
    )
    .option('--external-id <id>', 'with --client-id: what the client calls the user', parseExternalId);
}

/** The user that was typed. */
export interface Meant {
  whom: Whom;
  /** What is said when there is none. */
  absence: string;
}

/** @throws {Refusal} unless one user is named, in one way */
export function readUser(name: string | undefined, { clientId, externalId }: OfClient = {}): Meant {
  if (name !== undefined && clientId === undefined && externalId === undefined)
    return {
      whom: isUuid(name) ? { id: name } : name,
      absence: `there is no user ${toLine(name)}: see \`gatehouse users list\``,
    };
  if (name === undefined && clientId !== undefined && externalId !== undefined)
    return {
      whom: { id: subjectId(clientId, externalId) },
      absence: `there is no user ${externalId} of ${clientId}: see \`gatehouse users find --client-id ${clientId}\``,
    };
  throw new Refusal('name one user: by name or id, or by --client-id and --external-id together', {
    isWrongUsage: true,
  });
}

/** @throws {Refusal} when there is none */
export async function findMeant(database: Database, { whom, absence }: Meant): Promise<FoundUser> {
  const user = await (typeof whom === 'string' ? findUser(database, whom) : findUserById(database, whom.id));
  if (user === null) throw new Refusal(absence);
  return user;
}

export function parseExternalId(text: string): string {
  if (isExternalId(text)) return text;
  throw new InvalidArgumentError(
    'It is 1 to 255 printable ASCII characters without spaces, and does not begin with client: or gatehouse:.',
  );
}
