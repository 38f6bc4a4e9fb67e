// What the measurements of logins share: users with a password, their requests, and argon2 alone to hold them against.
import { createPasswordHasher } from '../../../dist/domain/passwords/hasher.js';
import { addressOf, requestText } from './load.js';
import { startServer } from './servers.js';
import { addRevocations, addSessions, addUsers, openWorld, settle } from './world.js';

export const PASSWORD = 'correct horse battery staple';
const USERS = 400;

/** A world in which every user has a password, the same one under the same hash: only its parameters cost time. */
export async function openWorldOfLogins(sessions) {
  const world = await openWorld();
  await addUsers(world, USERS);
  await addSessions(world, sessions);
  await addRevocations(world, sessions);
  const phc = await createPasswordHasher().hash(PASSWORD);
  await world.pool.query('UPDATE users SET password_hash = $1', [phc]);
  await settle(world);
  return { ...world, phc };
}

/** Makes logins; each of another user and another network than the one before, so that limits on guessing stay away. */
export function createLogins() {
  let made = 0;
  return (count) =>
    Array.from({ length: count }, () => {
      made += 1;
      const body = JSON.stringify({ username: `user-${1 + (made % USERS)}`, password: PASSWORD });
      return requestText(
        'POST',
        '/login',
        { 'content-type': 'application/json', 'x-forwarded-for': addressOf(made) },
        body,
      );
    });
}

/** A server that verifies passwords, as many at once as the service, and does nothing else. */
export function startArgon2({ phc }, options = {}) {
  return startServer('./servers/argon2.js', {
    ...options,
    environment: { PASSWORD, PASSWORD_HASH: phc, ...options.environment },
  });
}

export const VERIFY = requestText('POST', '/', {});
