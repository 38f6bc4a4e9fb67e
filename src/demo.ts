/** The first start over an empty embedded database makes a user and a client, to try everything with. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Database } from './database/prisma.js';
import { addClient } from './domain/clients.js';
import { generatePassword } from './domain/passwords/policy.js';
import type { PasswordHasher } from './domain/passwords/hasher.js';
import { addUser } from './domain/users/users.js';

const USERNAME = 'demo';
const CLIENT_ID = 'demo-service';

/**
 * @returns the file with lines to paste (mode 0600) and its text; null where somebody has made users or clients
 */
export async function createDemo(
  database: Database,
  hasher: PasswordHasher,
  { dataDir, port }: { dataDir: string; port: number },
): Promise<{ file: string; text: string } | null> {
  const [found] = await database.query({ isEmpty: 'bool' })`
    SELECT NOT EXISTS (SELECT FROM users) AND NOT EXISTS (SELECT FROM clients) AS "isEmpty"`;
  if (found?.isEmpty !== true) return null;
  const password = generatePassword();
  const client = await addClient(database, CLIENT_ID, ['introspect', 'revoke']);
  const user = await addUser(database, {
    username: USERNAME,
    passwordHash: await hasher.hash(password),
    scope: 'demo',
  });
  if (client === null || user === null) return null;
  const file = join(dataDir, 'demo.txt');
  const text = lines(`http://localhost:${port}`, password, client.secret);
  await writeFile(file, text, { mode: 0o600 });
  return { file, text };
}

function lines(url: string, password: string, secret: string): string {
  return `# Gatehouse made these for trying out. Paste a line at a time; they need curl and node.

# The user "${USERNAME}" logs in. The answer holds both tokens; keep them.
LOGIN=$(curl -s ${url}/login -H 'Content-Type: application/json' -d '{"username":"${USERNAME}","password":"${password}"}'); echo "$LOGIN"
ACCESS=$(node -p 'JSON.parse(process.argv[1]).access_token' "$LOGIN"); REFRESH=$(node -p 'JSON.parse(process.argv[1]).refresh_token' "$LOGIN")

# The service "${CLIENT_ID}" asks whether the token is alive: {"active":true,...}
curl -s ${url}/introspect -u '${CLIENT_ID}:${secret}' -d token="$ACCESS"; echo

# The user asks who they are, and where they are logged in.
curl -s ${url}/session -H "Authorization: Bearer $ACCESS"; echo
curl -s ${url}/sessions -H "Authorization: Bearer $ACCESS"; echo

# The refresh token is exchanged for a new pair of the same session.
curl -s ${url}/refresh -H 'Content-Type: application/json' -d "{\\"refresh_token\\":\\"$REFRESH\\"}"; echo

# The user logs out: 204. From now on every replica refuses both tokens: {"active":false}, then 401.
curl -s -o /dev/null -w '%{http_code}\\n' -X POST ${url}/logout -H "Authorization: Bearer $ACCESS"
curl -s ${url}/introspect -u '${CLIENT_ID}:${secret}' -d token="$ACCESS"; echo
curl -s ${url}/refresh -H 'Content-Type: application/json' -d "{\\"refresh_token\\":\\"$REFRESH\\"}"; echo
`;
}
