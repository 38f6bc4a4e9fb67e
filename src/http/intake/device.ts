/** Where a request comes from, as the person is shown it in the list of sessions. */
import type { FastifyRequest } from 'fastify';

import type { Device } from '../../domain/sessions/sessions.js';

/** As much of a User-Agent as helps a person to recognise the device. */
export const USER_AGENT_CHARACTERS = 512;

export function deviceOf({ address, headers }: FastifyRequest): Device {
  return { ip: address, userAgent: headers['user-agent']?.slice(0, USER_AGENT_CHARACTERS) ?? null };
}
