/** What the OpenAPI document says of /admin. */
import { z } from 'zod';

import {
  addedClient,
  addedSecret,
  createdUser,
  endingDone,
  endingForeseen,
  exportedUser,
  foundClient,
  foundClients,
  foundEvents,
  foundKey,
  foundKeys,
  foundRevocation,
  foundRevocations,
  foundSession,
  foundSessions,
  foundUser,
  foundUsers,
  importedUsers,
  issuedCode,
  lifted,
  retired,
} from './admin-schemas.js';
import { answer, HEADERS, noContent, problems } from './documented.js';

const forOperators = { tags: ['operators'], security: [{ clientBasic: [] }] };

/** Of every operation for operators. */
const DOOR = [
  'invalid_client',
  'insufficient_scope',
  'csrf_rejected',
  'too_many_requests',
  'temporarily_unavailable',
] as const;
const BODY = ['too_large', 'unsupported_media_type'] as const;

const GIVING =
  'The client that asks needs each permission that it gives, and each one that the other client holds. One with audiences gives only of its ' +
  'own, at least one, and the other client may have no others. Permission: `clients:write`.';

export const describeAdmin = {
  users: {
    operationId: 'findUsers',
    summary: 'Find users',
    description:
      'Latest id first: ids of users who were made here begin with the time of their making; those of users of clients do not. Permission: `users:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundUsers), ...problems(...DOOR) },
  },
  user: {
    operationId: 'findUser',
    summary: 'One user',
    description: 'Permission: `users:read`.',
    ...forOperators,
    response: { 200: answer('The user.', foundUser), ...problems('not_found', ...DOOR) },
  },
  createUser: {
    operationId: 'createUser',
    summary: 'Add a user',
    description:
      'With a password that is given, or one that is made here and answered once. With neither the user has no password, and cannot log ' +
      'in until a code sets one. Permission: `users:write`.',
    ...forOperators,
    response: {
      201: answer('The user.', createdUser),
      ...problems('username_taken', ...BODY, ...DOOR),
    },
  },
  importUsers: {
    operationId: 'importUsers',
    summary: 'Add users of another system',
    description:
      'With the hashes of their passwords, which are hashed anew at the first login. A line that is wrong is named, and the others go on. ' +
      'Nobody is overwritten: to send the same lines again is harmless. Up to 1,000 lines and 1 MiB. Permission: `users:write`.',
    consumes: ['application/x-ndjson'],
    ...forOperators,
    response: {
      200: answer('What has become of the lines.', importedUsers),
      ...problems(...BODY, ...DOOR),
    },
  },
  changeUser: {
    operationId: 'changeUser',
    summary: 'Change a user',
    description:
      'RFC 7396: what is not named stays. Another name or scope ends the access tokens of the user at once, and leaves the sessions: a ' +
      'refresh gives tokens with what is true now. Disabling and a new password end every session. Permission: `users:write`.',
    ...forOperators,
    response: {
      200: answer('The user as it is now.', foundUser),
      ...problems('not_found', 'username_taken', ...BODY, ...DOOR),
    },
  },
  deleteUser: {
    operationId: 'deleteUser',
    summary: 'Delete a user',
    description:
      'Ends every session at once, those whose login is under way included, and frees the name. It cannot be taken back. Rows of sessions go ' +
      'within minutes, those of revocations, which name an id alone, when no token can be alive any more. Permission: `users:write`.',
    ...forOperators,
    response: { 204: noContent('There is no such user any more.'), ...problems(...DOOR) },
  },
  unlockUser: {
    operationId: 'unlockUser',
    summary: 'Unlock a user',
    description:
      'Lets the next attempt at the password in, from whichever network. What a network has used up at many users stays. Another replica may ' +
      'repeat a refusal for a second. Permission: `users:write`.',
    ...forOperators,
    response: { 204: noContent('The user is not locked.'), ...problems('not_found', ...BODY, ...DOOR) },
  },
  issueCode: {
    operationId: 'issuePasswordCode',
    summary: 'Make a code that sets a password',
    description:
      'Give it to the user, who sets a password with it at `/password/reset`: it resets one, and it invites a user without one. It works once, ' +
      'takes the place of one that was made before, and counts no more after a new password, a disabling or a logout everywhere. Permission: `users:write`.',
    ...forOperators,
    response: {
      200: answer('The code, which is shown this once.', issuedCode),
      ...problems('not_found', 'user_disabled', ...BODY, ...DOOR),
    },
  },
  exportUser: {
    operationId: 'exportUser',
    summary: 'All that is kept about a user',
    description:
      'For who asks what is known of them; no hash is in it. In parts of up to 1,000 sessions and 1,000 revocations: all sessions come first. ' +
      'Most users fit into one part. Permission: `users:read`.',
    ...forOperators,
    response: { 200: answer('One part.', exportedUser), ...problems('not_found', ...DOOR) },
  },
  sessions: {
    operationId: 'findSessions',
    summary: 'Find sessions',
    description:
      'Sessions of everybody whose rows are kept, ended or not, latest opened first. For a network a page ends where 500,000 sessions of all ' +
      'networks were looked at: it may be shorter than asked for, even empty, and `next` leads on. Permission: `sessions:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundSessions), ...problems(...DOOR) },
  },
  session: {
    operationId: 'findSession',
    summary: 'One session',
    description: 'Permission: `sessions:read`.',
    ...forOperators,
    response: { 200: answer('The session.', foundSession), ...problems('not_found', ...DOOR) },
  },
  end: {
    operationId: 'endByOperator',
    summary: 'End sessions and tokens',
    description:
      'Ends what is named, at once and on every replica, all or nothing. `dry_run` shows it first. Ends of sessions, networks, clients and tokens can ' +
      'be lifted; those of users and of everybody cannot. A repetition changes nothing. A network, or a client, is 400 for a time in which more than ' +
      '500,000 sessions of all were opened: cut it into parts. Permission: `sessions:end`.',
    ...forOperators,
    response: {
      200: answer('What has ended; with `dry_run` what would end.', z.union([endingDone, endingForeseen])),
      ...problems('too_many_sessions', ...BODY, ...DOOR),
    },
  },
  revocations: {
    operationId: 'findRevocations',
    summary: 'Find revocations',
    description: 'What was ended, whose, why, by whom and when, latest first. Permission: `sessions:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundRevocations), ...problems(...DOOR) },
  },
  revocation: {
    operationId: 'findRevocation',
    summary: 'One revocation',
    description: 'Permission: `sessions:read`.',
    ...forOperators,
    response: { 200: answer('The revocation.', foundRevocation), ...problems('not_found', ...DOOR) },
  },
  lift: {
    operationId: 'liftRevocation',
    summary: 'Take an end back',
    description:
      'From now on the row ends nothing. What anything else has ended stays dead. Programs that asked meanwhile were told that their tokens ' +
      'are dead, and may have thrown them away. Permission: `revocations:lift`.',
    ...forOperators,
    response: {
      200: answer('Whether it is alive now.', lifted),
      ...problems('not_found', 'not_liftable', ...BODY, ...DOOR),
    },
  },
  clients: {
    operationId: 'findClients',
    summary: 'Find clients',
    description: 'All clients, latest added first. Permission: `clients:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundClients), ...problems(...DOOR) },
  },
  addClient: {
    operationId: 'addClient',
    summary: 'Add a client',
    description: `Its secret is made here and shown this once. ${GIVING}`,
    ...forOperators,
    response: {
      201: answer('The client, with its secret.', addedClient, { headers: HEADERS.created }),
      ...problems('client_id_taken', ...BODY, ...DOOR),
    },
  },
  client: {
    operationId: 'findClient',
    summary: 'One client',
    description: 'Permission: `clients:read`.',
    ...forOperators,
    response: { 200: answer('The client.', foundClient), ...problems('not_found', ...DOOR) },
  },
  changeClient: {
    operationId: 'changeClient',
    summary: 'Change a client',
    description: `As RFC 7396 says: what is left out stays. It counts at once, on every replica. ${GIVING}`,
    ...forOperators,
    response: {
      200: answer('The client as it is now.', foundClient),
      ...problems('not_found', ...BODY, ...DOOR),
    },
  },
  removeClient: {
    operationId: 'removeClient',
    summary: 'Delete a client',
    description: `From now on every replica refuses it. A client may delete itself. ${GIVING}`,
    ...forOperators,
    response: { 204: noContent('There is no such client any more.'), ...problems(...DOOR) },
  },
  addSecret: {
    operationId: 'addClientSecret',
    summary: 'Make a second secret',
    description: `It is shown this once, and counts beside the one that is there: two at the most. ${GIVING}`,
    ...forOperators,
    response: {
      201: answer('The secret.', addedSecret, { headers: HEADERS.created }),
      ...problems('not_found', 'too_many_secrets', ...BODY, ...DOOR),
    },
  },
  removeSecret: {
    operationId: 'removeClientSecret',
    summary: 'Delete a secret',
    description: `From now on every replica refuses it. ${GIVING}`,
    ...forOperators,
    response: { 204: noContent('There is no such secret any more.'), ...problems(...DOOR) },
  },
  events: {
    operationId: 'findEvents',
    summary: 'Find events',
    description:
      'Who did what, when and from where, latest first. Of one type a page may be shorter than asked for, even empty, and `next` leads on. ' +
      'Permission: `events:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundEvents), ...problems(...DOOR) },
  },
  keys: {
    operationId: 'findKeys',
    summary: 'Find signing keys',
    description: 'All keys that are kept, latest to sign first. Permission: `keys:read`.',
    ...forOperators,
    response: { 200: answer('One page.', foundKeys), ...problems(...DOOR) },
  },
  rotateKeys: {
    operationId: 'rotateKeys',
    summary: 'Publish the next key',
    description:
      'It signs from two JWKS max-ages later on; the old one verifies until its last token is dead. Where a next key waits already, it is ' +
      'answered, and none is made. Permission: `keys:write`.',
    ...forOperators,
    response: { 200: answer('The next key.', foundKey), ...problems(...BODY, ...DOOR) },
  },
  retireKey: {
    operationId: 'retireKey',
    summary: 'End a key that has leaked',
    description:
      'The key dies, **every session of every user ends**, and a new key signs, at once and on every replica. It cannot be taken back. ' +
      '`dry_run` shows it first. A repetition changes nothing. Permission: `keys:write`.',
    ...forOperators,
    response: {
      200: answer('Both keys; with `dry_run` what would end.', z.union([retired, endingForeseen])),
      ...problems('not_found', ...BODY, ...DOOR),
    },
  },
} as const;
