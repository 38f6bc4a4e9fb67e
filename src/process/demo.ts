/** The first start over an empty embedded database makes a user and a client, to try everything with. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Database } from '../database/prisma.js';
import { addClient } from '../domain/clients.js';
import { generatePassword } from '../domain/passwords/policy.js';
import type { PasswordHasher } from '../domain/passwords/hasher.js';
import { addUser } from '../domain/users/users.js';

const USERNAME = 'demo';
const CLIENT_ID = 'demo-service';

/** Stands in the lines while nobody listens for them: a name that leads nowhere (RFC 2606). */
const NOWHERE = 'http://not-listening.invalid';

/** The origin of an address that is ours. Older versions have always written localhost. */
const ORIGIN = /\bhttps?:\/\/[^\s/]+(?=\/(?:login|introspect|sessions?|refresh|logout)\b)/g;

/**
 * Makes both, and a file (mode 0600) with lines to paste, which lead nowhere until {@link addressDemo} has been called.
 *
 * @returns false where somebody has made users or clients
 */
export async function createDemo(
  database: Database,
  hasher: PasswordHasher,
  dataDir: string,
): Promise<boolean> {
  const [found] = await database.query({ isEmpty: 'bool' })`
    SELECT NOT EXISTS (SELECT FROM users) AND NOT EXISTS (SELECT FROM clients) AS "isEmpty"`;
  if (found?.isEmpty !== true) return false;
  const password = generatePassword();
  const client = await addClient(database, { id: CLIENT_ID, permissions: ['introspect', 'revoke'] });
  const user = await addUser(database, {
    username: USERNAME,
    passwordHash: await hasher.hash(password),
    scope: 'demo',
  });
  if (client === null || user === null) return false;
  await writeFile(fileIn(dataDir), lines(NOWHERE, password, client.secret), { mode: 0o600 });
  return true;
}

/**
 * Writes where the service listens into the lines of the file, if there is one. Only what listens may be told a password,
 * so that this is done at each start, and with an address at which we listen.
 *
 * @param url such as `http://127.0.0.1:3000`
 * @returns the file and its text
 */
export async function addressDemo(
  dataDir: string,
  url: string,
): Promise<{ file: string; text: string } | null> {
  const file = fileIn(dataDir);
  const before = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
  if (before === null) return null;
  const text = before.replace(ORIGIN, url);
  if (text === before) return { file, text };
  // Aside and into place: the password is nowhere else.
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
  return { file, text };
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'demo.txt');
}

function lines(url: string, password: string, secret: string): string {
  return `# Gatehouse made these for trying out. Paste a line at a time; they need curl and node.
# At each start it writes into them where it listens.

# Of the user "${USERNAME}", and of the client "${CLIENT_ID}".
PASSWORD=${password}
SECRET=${secret}

# The user logs in. The answer holds both tokens; keep them.
LOGIN=$(curl -s ${url}/login -H 'Content-Type: application/json' -d "{\\"username\\":\\"${USERNAME}\\",\\"password\\":\\"$PASSWORD\\"}"); echo "$LOGIN"
ACCESS=$(node -p 'JSON.parse(process.argv[1]).access_token' "$LOGIN"); REFRESH=$(node -p 'JSON.parse(process.argv[1]).refresh_token' "$LOGIN")

# The client, one of your services, asks whether the token is alive: {"active":true,...}
curl -s ${url}/introspect -u "${CLIENT_ID}:$SECRET" -d token="$ACCESS"; echo

# The user asks who they are, and where they are logged in.
curl -s ${url}/session -H "Authorization: Bearer $ACCESS"; echo
curl -s ${url}/sessions -H "Authorization: Bearer $ACCESS"; echo

# The refresh token is exchanged for a new pair of the same session.
curl -s ${url}/refresh -H 'Content-Type: application/json' -d "{\\"refresh_token\\":\\"$REFRESH\\"}"; echo

# The user logs out: 204. From now on every replica refuses both tokens: {"active":false}, then 401.
curl -s -o /dev/null -w '%{http_code}\\n' -X POST ${url}/logout -H "Authorization: Bearer $ACCESS"
curl -s ${url}/introspect -u "${CLIENT_ID}:$SECRET" -d token="$ACCESS"; echo
curl -s ${url}/refresh -H 'Content-Type: application/json' -d "{\\"refresh_token\\":\\"$REFRESH\\"}"; echo
`;
}
