// Dovecot, with the configuration of docs/clients.md, asked over the socket by which its own logins ask.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { describeWhere, startProgram, works } from '../../support/programs.js';
import { replaceOnce } from '../gateways/gateway.js';
import { checkClient, type Client, type Told } from './checks.js';

const HEADING = 'Dovecot';

/** What stands around the text of the page. Who is not root is everybody here. */
function configure(directory: string, text: string): string {
  const { uid, gid, username } = userInfo();
  const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
  const self = `default_login_user = ${username}\ndefault_internal_user = ${username}\ndefault_internal_group = ${group}\n`;
  return `base_dir = ${directory}/run
state_dir = ${directory}/run
log_path = /dev/stderr
ssl = no
protocols =
auth_failure_delay = 0
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
${uid === 0 ? '' : self}userdb {
  driver = static
  args = uid=${uid} gid=${gid} home=${directory}
}
${text}`;
}

const dovecot: Client = {
  name: 'Dovecot',
  start: async (stage, directory, isKeeping) => {
    const oauth2 = join(directory, 'dovecot-oauth2.conf.ext');
    let text = replaceOnce(stage.snippet(HEADING, ''), '/etc/dovecot/dovecot-oauth2.conf.ext', oauth2);
    if (isKeeping) text = replaceOnce(text, 'auth_cache_size = 0', 'auth_cache_size = 1M');
    const url = stage.way.url.replace('://', `://orders:${stage.client.secret}@`);
    const settings = replaceOnce(
      stage.snippet(HEADING, 'ini'),
      `http://orders:${stage.client.secret}@localhost:3000`,
      url,
    );
    await writeFile(oauth2, settings);
    await writeFile(join(directory, 'dovecot.conf'), configure(directory, text));
    const socket = join(directory, 'run/auth-client');
    const running = await startProgram('dovecot', ['-F', '-c', join(directory, 'dovecot.conf')], {
      port: socket,
      directory,
    });
    return { ...running, ask: (authorization, username) => ask(socket, username, authorization) };
  },
  unavailable: 503,
  withoutScope: [],
  names: 'username',
  relays: false,
  canKeep: true,
  // It looks at the text of `active` alone, and then at the user's name. Half an answer ends the process that judges.
  otherwise: {
    'answers with a text in the place of the verdict': 401,
    'answers without a verdict': 401,
    'stands still within its answer': 500,
  },
};

const HUNG_UP = 'hung up';
const STATUSES: Record<string, number> = { OK: 200, [HUNG_UP]: 500 };

/** Logs in by OAUTHBEARER (RFC 7628), as an IMAP server does; HTTP's statuses stand for what comes back. */
async function ask(path: string, username: string, authorization?: string): Promise<Told> {
  const socket = connect(path);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const read = async (): Promise<string> => {
    const next = await lines.next();
    return next.done === true ? HUNG_UP : next.value;
  };
  const response = (text: string) => Buffer.from(text).toString('base64');
  await once(socket, 'connect');
  socket.write('VERSION\t1\t2\nCPID\t77\n');
  let line = '';
  while (line !== 'DONE' && line !== HUNG_UP) line = await read();
  const auth = authorization === undefined ? '' : `auth=${authorization}\x01`;
  socket.write(
    `AUTH\t1\tOAUTHBEARER\tservice=imap\tsecured\tresp=${response(`n,a=${username},\x01${auth}\x01`)}\n`,
  );
  line = await read();
  if (line.startsWith('CONT')) {
    // The answer to the refusal's particulars (RFC 7628, section 3.2.3).
    socket.write(`CONT\t1\t${response('\x01')}\n`);
    line = await read();
  }
  socket.destroy();
  const [verdict, , ...fields] = line.split('\t');
  const status = STATUSES[verdict ?? ''] ?? (fields.includes('code=temp_fail') ? 503 : 401);
  return { status, headers: new Headers(), body: verdict === 'OK' ? line : '' };
}

const needs = { name: 'Dovecot', needs: 'program `dovecot`', required: 'GATEHOUSE_REQUIRE_DOVECOT' };
describeWhere(works('dovecot', ['--version']), needs, () => checkClient(dovecot));
