/** Whether the service will be able to listen, found out before anything is made for it, and why it is not. */
import { once } from 'node:events';
import { createServer } from 'node:net';

import { StartError } from '../../database/start-error.js';

/**
 * Listens for a moment where the service will listen later. Whoever takes the port in between makes it fail then, with
 * the same error.
 *
 * @throws what `listen` says: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTFOUND and the like
 */
export async function tryPort({ host, port }: { host: string; port: number }): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  const listening = once(server, 'listening');
  server.listen({ host, port, exclusive: true });
  await listening;
  server.close();
  await once(server, 'close');
}

/** Why nobody can listen there, as one line that an operator can act on; another error as it is. */
export function explainListening(error: unknown, port: number, setting = MAIN_SETTING): unknown {
  // A worker gets `bind` from its primary; a HOST that is a name gets `getaddrinfo`.
  const { code = '', syscall = '' } = error as NodeJS.ErrnoException;
  if (!['listen', 'bind', 'getaddrinfo'].includes(syscall)) return error;
  const explain = explanations[syscall === 'getaddrinfo' ? 'EADDRNOTAVAIL' : code] ?? unforeseen;
  return new StartError(explain({ port, code, ...setting }), { cause: error });
}

/** The settings that name the address and the port. */
export interface Setting {
  forHost: string;
  forPort: string;
}

const MAIN_SETTING: Setting = { forHost: 'HOST', forPort: 'PORT' };
export const METRICS_SETTING: Setting = { forHost: 'METRICS_ADDRESS', forPort: 'METRICS_ADDRESS' };
export const ADMIN_SETTING: Setting = { forHost: 'ADMIN_ADDRESS', forPort: 'ADMIN_ADDRESS' };

const unforeseen = ({ port, code, forHost, forPort }: { port: number; code: string } & Setting) =>
  `the service cannot listen on port ${port} (${code}): set ${[...new Set([forHost, forPort])].join(' and ')} to an address of this machine and a free port`;

/** By Node's error code. */
const explanations: Record<string, typeof unforeseen> = {
  EADDRINUSE: ({ port, forPort }) => `port ${port} is taken: stop what listens there, or set ${forPort}`,
  EACCES: ({ port, forPort }) => `this user may not listen on port ${port}: set ${forPort} above 1023`,
  EADDRNOTAVAIL: ({ code, forHost }) =>
    `${forHost} is not an address of this machine (${code}): set it to one, such as 127.0.0.1 or 0.0.0.0`,
};

/** The address as a program asks for it. */
export function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
