/** Members of a request that a door sets. Reading one that was not set throws, so that no route can take null for claims. */
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Set by the users' door, and by the clients' door. */
const MEMBERS = ['claims', 'client', 'judgement'] as const;

export function addMembers(app: FastifyInstance): void {
  for (const name of MEMBERS) addMember(app, name);
}

function addMember(app: FastifyInstance, name: (typeof MEMBERS)[number]): void {
  // Declared beforehand: a request that grows a member of its own is slower to read.
  const place = Symbol(name);
  app.decorateRequest(place, null);
  app.decorateRequest(name, {
    getter() {
      const value = valuesOf(this)[place] ?? null;
      if (value === null)
        throw new Error(`request.${name} is read where no door has set it: put the route behind that door`);
      return value as never;
    },
    setter(value) {
      valuesOf(this)[place] = value;
    },
  });
}

function valuesOf(request: FastifyRequest): Record<symbol, unknown> {
  return request as unknown as Record<symbol, unknown>;
}
