// nginx with njs, with the program and the configuration of docs/clients.md.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { describeWhere, startProgram } from '../../support/programs.js';
import { replaceOnce } from '../gateways/gateway.js';
import { checkClient, overHttp, type Client } from './checks.js';

const MODULE = '/usr/lib/nginx/modules/ngx_http_js_module.so';
const HEADING = 'nginx, with njs';

/** What stands around the text of the page. */
const configure = (text: string) => `
load_module ${MODULE};
pid nginx.pid;
error_log stderr crit;
events {
}
http {
  access_log off;
  client_body_temp_path client_body_temp;
  proxy_temp_path proxy_temp;
  fastcgi_temp_path fastcgi_temp;
  uwsgi_temp_path uwsgi_temp;
  scgi_temp_path scgi_temp;
  ${text}
}
`;

const njs: Client = {
  name: 'nginx with njs',
  start: async (stage, directory) => {
    const application = createServer((request, response) => {
      const { authorization, 'x-auth-subject': subject } = request.headers;
      response.end(`${String(subject)}, ${authorization === undefined ? 'no token' : 'a token'}`);
    });
    application.listen(0, '127.0.0.1');
    await once(application, 'listening');
    const port = await findFreePort();
    let text = stage.snippet(HEADING, 'nginx');
    text = replaceOnce(text, '127.0.0.1:8080', `127.0.0.1:${port}`);
    text = replaceOnce(text, '127.0.0.1:4000', `127.0.0.1:${(application.address() as AddressInfo).port}`);
    await writeFile(join(directory, 'nginx.conf'), configure(text));
    await writeFile(join(directory, 'gatehouse.js'), stage.snippet(HEADING, 'js'));
    // Started by root, its workers are somebody else.
    await chmod(directory, 0o755);
    const parameters = ['-p', directory, '-c', 'nginx.conf', '-g', 'daemon off;'];
    const running = await startProgram('nginx', parameters, { port, directory });
    return {
      ...running,
      ask: overHttp(`http://127.0.0.1:${port}/orders/`),
      stop: async () => {
        await running.stop();
        application.close();
        application.closeAllConnections();
      },
    };
  },
  unavailable: 503,
  withoutScope: [403],
  names: 'sub',
  relays: true,
  canKeep: false,
  // It asks /session, which knows no clients: its 401 is a verdict.
  otherwise: { 'does not know the client': 401 },
};

describeWhere(existsSync(MODULE), { name: njs.name, needs: MODULE }, () => checkClient(njs));
