/** The server of METRICS_ADDRESS: Prometheus text at GET /metrics, and nothing else. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import type { Logger } from 'pino';

import { urlOf } from '../http/server/port.js';
import { createLimitedServer } from '../http/server/server.js';

/** Prometheus has one; each dashboard and each person beside it has a few more. */
const CONNECTIONS = 100;

/**
 * Listens, with the limits of time of the main server.
 *
 * @param write all metrics, as they are now
 * @throws what `listen` says
 */
export async function openEndpoint(
  { host, port }: { host: string; port: number },
  write: () => Promise<string>,
  logger: Logger,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createLimitedServer((request, response) => void answer(request, response), {
    headers: {},
    connections: CONNECTIONS,
    onDrop: () =>
      logger.warn('too many connections to METRICS_ADDRESS: those that are idle longest are closed'),
  });

  async function answer({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method !== 'GET' || url.split('?', 1)[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at GET /metrics.\n');
      return;
    }
    try {
      const text = await write();
      response.writeHead(200, { 'content-type': Registry.PROMETHEUS_CONTENT_TYPE }).end(text);
    } catch (error) {
      logger.error({ err: error }, 'the metrics cannot be written');
      response.writeHead(500).end();
    }
  }

  server.listen({ host, port, exclusive: true });
  await once(server, 'listening');
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `${urlOf({ host, port: bound })}/metrics`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
