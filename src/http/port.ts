/** Whether the service will be able to listen, found out before anything is made for it. */
import { once } from 'node:events';
import { createServer } from 'node:net';

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
