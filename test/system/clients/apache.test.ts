// Apache's two modules, with the configurations of docs/clients.md.
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { describeWhere, startProgram } from '../../support/programs.js';
import { replaceOnce } from '../gateways/gateway.js';
import { checkClient, overHttp, type Client } from './checks.js';

const MODULES = '/usr/lib/apache2/modules';

/** What stands around the text of the page: a server that says whom it let in. */
const configure = (directory: string, port: number, module: string, text: string) => `
ServerRoot ${directory}
PidFile httpd.pid
Mutex file:${directory}
ServerName localhost
Listen 127.0.0.1:${port}
ErrorLog /dev/null
${['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'dir', module]
  .map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`)
  .join('\n')}
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
DocumentRoot htdocs
DirectoryIndex index.html
Header always set X-User "expr=%{REMOTE_USER}"
${text}
`;

async function startApache(directory: string, module: string, text: string) {
  const port = await findFreePort();
  await mkdir(join(directory, 'htdocs/orders'), { recursive: true });
  await writeFile(join(directory, 'htdocs/orders/index.html'), 'a book');
  await writeFile(join(directory, 'httpd.conf'), configure(directory, port, module, text));
  // Started by root, its workers are somebody else.
  await chmod(directory, 0o755);
  const running = await startProgram('apache2', ['-f', join(directory, 'httpd.conf'), '-DFOREGROUND'], {
    port,
    directory,
  });
  const ask = overHttp(`http://127.0.0.1:${port}/orders/`);
  return {
    ...running,
    ask: async (authorization: string | undefined) => {
      const told = await ask(authorization, '');
      return { ...told, body: told.headers.get('x-user') ?? '' };
    },
  };
}

const modAuthOpenidc: Client = {
  name: 'mod_auth_openidc',
  start: (stage, directory, isKeeping) => {
    const text = stage.snippet('Apache, mod_auth_openidc', 'apache');
    // Our tokens are too long to be keys of the cache that it has by default; encrypted, it takes their hashes.
    const cache = 'OIDCCacheEncrypt On\nOIDCCryptoPassphrase testing\n';
    const kept = replaceOnce(text, 'OIDCOAuthTokenIntrospectionInterval -1\n', cache);
    return startApache(directory, 'auth_openidc', isKeeping ? kept : text);
  },
  unavailable: 401,
  withoutScope: [401, 403],
  names: 'sub',
  relays: false,
  canKeep: true,
  followsRedirects: true,
  // It judges the body alone.
  otherwise: {
    'says 503 beside what would be a verdict': 200,
    'sends it elsewhere': 200,
    'answers with a text in the place of the verdict': 200,
  },
};

const modOauth2: Client = {
  name: 'mod_oauth2',
  start: (stage, directory, isKeeping) => {
    const text = stage.snippet('Apache, mod_oauth2', 'apache');
    return startApache(directory, 'oauth2', isKeeping ? replaceOnce(text, '&expiry=0', '') : text);
  },
  unavailable: 401,
  withoutScope: [],
  names: 'sub',
  relays: false,
  canKeep: true,
  followsRedirects: true,
  otherwise: { 'sends it elsewhere': 200 },
};

for (const [client, module, required] of [
  [modAuthOpenidc, 'auth_openidc', 'GATEHOUSE_REQUIRE_APACHE'],
  [modOauth2, 'oauth2', undefined],
] as const) {
  const file = `${MODULES}/mod_${module}.so`;
  const needs = { name: client.name, needs: file, ...(required !== undefined && { required }) };
  describeWhere(existsSync(file), needs, () => checkClient(client));
}
