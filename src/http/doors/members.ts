/** Members of a request that a door sets. Reading one that was not set throws, so that no route can take null for a token. */
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Set by the users' door, and by the clients' doors; each with the place where its value is. */
const PLACES = {
  token: Symbol('token'),
  client: Symbol('client'),
  judgement: Symbol('judgement'),
  credentials: Symbol('credentials'),
} as const;
type Member = keyof typeof PLACES;

export function addMembers(app: FastifyInstance): void {
  for (const name of Object.keys(PLACES) as Member[]) addMember(app, name);
}

/** For the log, which no door stands before: null where none has set it. */
export function findMember<Name extends Member>(
  request: FastifyRequest,
  name: Name,
): FastifyRequest[Name] | null {
  return (valuesOf(request)[PLACES[name]] ?? null) as FastifyRequest[Name] | null;
}

function addMember(app: FastifyInstance, name: Member): void {
  // Declared beforehand: a request that grows a member of its own is slower to read.
  const place = PLACES[name];
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
