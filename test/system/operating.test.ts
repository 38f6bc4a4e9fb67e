// The walk of docs/operating.md on two replicas: each request goes to the other one than the request before, and all answers are as shown.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { createEmptyDatabase } from '../support/empty-database.js';
import { isAsShown, readBlocks, ROOT } from '../support/manual.js';
import { createWorkshop, environmentFor, type Service } from '../support/service.js';
import { openShell } from '../support/terminal.js';

const PAGE = 'docs/operating.md';

/** What asks whether a token is taken: it is asked of both replicas. */
const ASKS_BOTH = /^state /;

it('works as written when each request meets another replica', { timeout: 20 * 60_000 }, async () => {
  for (;;) {
    const walk = await openWalk();
    try {
      await follow(walk);
      expect(Math.min(...walk.connections)).toBeGreaterThan(10);
      return;
    } catch (error) {
      // As any may be on a busy machine: then all is to be done again.
      if (!walk.wasUnavailable()) throw error;
    } finally {
      await walk.close();
    }
  }
});

type Walk = Awaited<ReturnType<typeof openWalk>>;

async function follow({ type }: Walk): Promise<void> {
  const { blocks } = readBlocks(readFileSync(join(ROOT, PAGE), 'utf8'));
  const commands = blocks.flatMap((block) => (block.is === 'commands' ? block.commands : []));
  for (const { line, text, output } of commands) {
    for (const turn of ASKS_BOTH.test(text) ? [1, 2] : [1]) {
      const where = `${PAGE}:${line}: ${text} (${turn})`;
      const done = await type(text);
      expect({ where, ...done }).toMatchObject({ where, status: 0 });
      if (output !== null && !isAsShown(done.stdout, output))
        expect({ where, output: done.stdout }).toEqual({ where, output });
    }
  }
}

/** Two replicas on a database of their own, an address that leads to one after the other, and a shell for which it is the page's. */
async function openWalk() {
  const database = await createEmptyDatabase();
  const workshop = createWorkshop();
  const environment = environmentFor(database.url);
  const replicas = [await workshop.start(environment), await workshop.start(environment)];
  const connections = replicas.map(() => 0);
  const address = await leadToEach(replicas, connections);
  const shell = openShell(ROOT, {
    ...environment,
    PATH: process.env['PATH'],
    HOME: await workshop.directory(),
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
  });
  return {
    connections,
    /** Whether one of them has answered 503. */
    wasUnavailable: () => replicas.some(({ output }) => /"status(?:Code)?":503\b/.test(output.stdout)),
    type: (command: string) => shell.type(command.replaceAll('localhost:3000', `127.0.0.1:${address.port}`)),
    close: async () => {
      shell.close();
      address.close();
      await workshop.clear();
      await database.drop();
    },
  };
}

/** @param connections are counted here, of each replica */
async function leadToEach(replicas: Service[], connections: number[]) {
  let turn = 0;
  const server = createServer((socket) => {
    const place = turn++ % replicas.length;
    connections[place] = (connections[place] ?? 0) + 1;
    const onward = connect(replicas[place]?.port ?? 0, '127.0.0.1');
    for (const one of [socket, onward])
      one.once('error', () => {
        socket.destroy();
        onward.destroy();
      });
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
