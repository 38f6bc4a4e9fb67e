/** Where an app listens. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';

import { explainListening, type Setting } from './port.js';

/**
 * Has an app listen. Fastify logs each address by itself, in each process; said once for all of them, it is for others to say.
 *
 * @returns the addresses, as programs ask for them
 */
export async function listenOn(
  app: FastifyInstance,
  { host, port }: { host: string; port: number },
  logger: Logger,
  setting?: Setting,
): Promise<string[]> {
  const addresses: string[] = [];
  const { level } = logger;
  logger.level = 'silent';
  try {
    await app.listen({ host, port, listenTextResolver: (address) => String(addresses.push(address)) });
  } catch (error) {
    throw explainListening(error, port, setting);
  } finally {
    logger.level = level;
  }
  return addresses;
}
