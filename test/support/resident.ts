// One user of a service in a process of its own, and the resource server that asks about the user’s tokens.
import { openDatabase } from '../../src/database/prisma.js';
import { addClient } from '../../src/domain/clients.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { addUser } from '../../src/domain/users/users.js';
import { AMPLE_MS, type TokenPair } from './house.js';
import { retryOn503 } from './retry.js';
import { ask, type Answer, type Service } from './service.js';

const NAME = 'resident';
const PASSWORD = 'a password of the resident';

export interface Resident {
  logIn: (service: Service) => Promise<Answer>;
  /** Logs in so often, one after the other; fails the test when that is refused. */
  openSessions: (service: Service, count: number) => Promise<TokenPair[]>;
  refresh: (service: Service, pair: TokenPair) => Promise<Answer>;
  /** Ends the session of the pair. */
  logOut: (service: Service, pair: TokenPair) => Promise<Answer>;
  introspect: (service: Service, pair: TokenPair) => Promise<Answer>;
}

/** Moves in at a migrated database. */
export async function settle(databaseUrl: string): Promise<Resident> {
  const client = await addResident(databaseUrl);
  const logIn = (service: Service) =>
    ask(service, 'POST', '/login', { body: { username: NAME, password: PASSWORD } });
  return {
    logIn,
    openSessions: async (service, count) => {
      const pairs: TokenPair[] = [];
      while (pairs.length < count) {
        const answer = await retryOn503(() => logIn(service));
        if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.body}`);
        pairs.push(answer.json<TokenPair>());
      }
      return pairs;
    },
    refresh: (service, { refresh_token }) => ask(service, 'POST', '/refresh', { body: { refresh_token } }),
    logOut: (service, { refresh_token }) => ask(service, 'POST', '/logout', { body: { refresh_token } }),
    introspect: (service, { access_token: token }) => {
      const body = new URLSearchParams({ token, client_id: client.id, client_secret: client.secret });
      return ask(service, 'POST', '/introspect', { body });
    },
  };
}

async function addResident(databaseUrl: string): Promise<{ id: string; secret: string }> {
  const database = openDatabase(databaseUrl, { connections: 1, deadlineMs: AMPLE_MS });
  const hasher = createPasswordHasher({ maxWaitMs: AMPLE_MS });
  try {
    await addUser(database, { username: NAME, passwordHash: await hasher.hash(PASSWORD), scope: '' });
    const client = await addClient(database, { id: 'resource', permissions: ['introspect', 'revoke'] });
    if (client === null) throw new Error('the client exists');
    return client;
  } finally {
    await hasher.close();
    await database.close();
  }
}
