// How long a service's event loop stands still, seen from inside the process and asked from outside.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

/** What `/block` holds the loop for, to show that a block is seen. */
export const BLOCK_MS = 50;

/**
 * Loaded with `--import` beside the service: a ticker, and a port of its own that tells the longest gap between ticks.
 * Of a gap counts what the process has worked in it: where the machine takes the core away, nothing holds the loop.
 */
const MONITOR = `
import { createServer } from 'node:http';
const read = () => {
  const { user, system } = process.cpuUsage();
  return { wallMs: performance.now(), cpuMs: (user + system) / 1000 };
};
const since = (then) => {
  const now = read();
  return Math.min(now.wallMs - then.wallMs, now.cpuMs - then.cpuMs);
};
let last = read();
let longest = 0;
const look = () => {
  longest = Math.max(longest, since(last));
  last = read();
};
setInterval(look, 1).unref();
const server = createServer((request, response) => {
  look();
  response.end(String(longest));
  longest = 0;
  if (request.url === '/block') while (since(last) < ${BLOCK_MS});
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
  /** The longest work without a tick while this was done, in milliseconds. */
  during: (work: () => Promise<unknown>) => Promise<number>;
  block: () => Promise<void>;
}

export function watchLoop(port: number): Monitor {
  async function ask(path: string): Promise<number> {
    // A connection that is kept may be closed in the moment in which it is used again.
    const asked = get({ host: '127.0.0.1', port, path, agent: false });
    const [incoming] = (await once(asked, 'response')) as [IncomingMessage];
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
  };
}
