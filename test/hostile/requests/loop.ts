// How long a service's event loop stands still, seen from inside the process and asked from outside.
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';

/** What `/block` holds the loop for, to show that a block is seen. */
export const BLOCK_MS = 50;

/** Loaded with `--import` beside the service: a ticker, and a port of its own that tells the longest gap between ticks. */
const MONITOR = `
import { createServer } from 'node:http';
let last = performance.now();
let longest = 0;
const look = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
};
setInterval(look, 1).unref();
const server = createServer((request, response) => {
  look();
  response.end(String(longest));
  longest = 0;
  if (request.url === '/block') for (const end = performance.now() + ${BLOCK_MS}; performance.now() < end; );
});
server.listen(Number(process.env.MONITOR_PORT), '127.0.0.1').unref();
`;

export function monitorEnvironment(port: number): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(MONITOR)}`,
    MONITOR_PORT: String(port),
  };
}

export interface Monitor {
  /** The longest time without a tick while this was done, in milliseconds. */
  during: (work: () => Promise<unknown>) => Promise<number>;
  block: () => Promise<void>;
  close: () => void;
}

export function watchLoop(port: number): Monitor {
  const agent = new Agent({ keepAlive: true });
  async function ask(path: string): Promise<number> {
    const [incoming] = (await once(get({ host: '127.0.0.1', port, path, agent }), 'response')) as [
      IncomingMessage,
    ];
    let text = '';
    for await (const chunk of incoming.setEncoding('utf8')) text += chunk as string;
    return Number(text);
  }
  return {
    during: async (work) => {
      await ask('/');
      await work();
      return await ask('/');
    },
    block: async () => {
      await ask('/block');
    },
    close: () => agent.destroy(),
  };
}
