/** The Fastify plugin: every route behind it wants a live token of Gatehouse, unless it says that it is public. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';

import { createIntrospector, Refusal, type Admission } from './introspector.js';
import type { GatehouseOptions } from './options.js';
import { checkScope } from './scope.js';
import { Unanswered } from './unanswered.js';
import type { User } from './verdict.js';

export { hasScope } from './introspector.js';
export type { GatehouseOptions, User };

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose live token this request carries. Throws on a public route, and before the hook `preParsing`. */
    user: User;
  }
  interface FastifyContextConfig {
    /** What the token must be good for; several, separated by spaces, are all needed. Without it any live token will do. */
    scope?: string;
    /** Whether the route takes requests without a token. It then knows no user. */
    public?: boolean;
  }
}

const ADMISSION = Symbol('gatehouse.admission');

interface Admitted {
  [ADMISSION]: Admission | null;
}

/** What Fastify itself takes of a plugin's options. */
const FASTIFYS_OWN = ['prefix', 'logLevel', 'logSerializers'];

// eslint-disable-next-line @typescript-eslint/require-await -- a mistake in the options must reject, not crash
const plugin: FastifyPluginAsync<GatehouseOptions> = async (app, options) => {
  const own = Object.entries(options).filter(([name]) => !FASTIFYS_OWN.includes(name));
  const introspect = createIntrospector(Object.fromEntries(own) as unknown as GatehouseOptions);

  app.decorateRequest(ADMISSION, null);
  app.decorateRequest('user', { getter: readUser });
  app.addHook('onRoute', ({ method, url, config = {} }) => checkConfig(config, `${String(method)} ${url}`));

  // After every `onRequest`, so that CORS and rate limits come first in whatever order they were registered, and so
  // that the page of another origin can read a 401; before the body is read, which nobody unknown may make us do.
  // With a callback that is never called for who is refused: after an async hook Fastify goes on to the handler unless the
  // refusal has left by then, which other hooks of `onSend` can put off.
  app.addHook('preParsing', (request, reply, _payload, next) => {
    if (isOpen(request)) {
      next();
      return;
    }
    const { config, method, url } = request.routeOptions;
    checkConfig(config, `${String(method)} ${String(url)}`);
    introspect(request.headers.authorization, { scope: config.scope ?? '' }).then(
      (admission) => {
        (request as unknown as Admitted)[ADMISSION] = admission;
        next();
      },
      (error: unknown) => {
        if (error instanceof Refusal) refuse(error, request, reply);
        else next(error as Error);
      },
    );
  });

  // At the last moment, when the status is known: a 5xx never carries a token.
  app.addHook('onSend', (request, reply, _payload, sent) => {
    const admission = (request as unknown as Admitted)[ADMISSION];
    if (admission !== null && reply.statusCode < 500) addHeaders(reply, admission.headers);
    sent();
  });

  app.addHook('onClose', () => introspect.close());
};

/** Register it before the routes, or the plugins with routes, that it guards. */
const gatehouse: FastifyPluginAsync<GatehouseOptions> = fastifyPlugin(plugin, {
  name: 'gatehouse',
  fastify: '5.x',
});

export default gatehouse;

function readUser(this: FastifyRequest): User {
  const admission = (this as unknown as Admitted)[ADMISSION];
  if (admission === null)
    throw new Error(
      'request.user: nobody was asked for a token, on a public route or before the hook preParsing',
    );
  return admission.user;
}

/** @throws {TypeError} that names the route: a guard that cannot be understood is none */
function checkConfig(config: { scope?: unknown; public?: unknown }, route: string): void {
  try {
    if (config.scope !== undefined) checkScope(config.scope);
  } catch (cause) {
    throw new TypeError(`${(cause as Error).message} (${route})`, { cause });
  }
  if (config.public !== undefined && typeof config.public !== 'boolean')
    throw new TypeError(`gatehouse: \`public\` is true or false (${route})`);
  if (config.public === true && config.scope !== undefined)
    throw new TypeError(`gatehouse: a public route asks for no scope (${route})`);
}

/** Where there is nothing to guard: public routes, unknown ones, and preflights, which never carry a token. */
function isOpen({ is404, method, headers, routeOptions }: FastifyRequest): boolean {
  if (is404 || routeOptions.config.public === true) return true;
  // A route for all methods could give its answer away: of OPTIONS only what is for OPTIONS alone.
  return (
    method === 'OPTIONS' &&
    routeOptions.method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  );
}

/** Past the application's own error handler, which may know neither challenges nor successors. */
function refuse(
  { status, headers, problem, cause }: Refusal,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (cause instanceof Error) {
    const level = cause instanceof Unanswered && !cause.isMisconfigured ? 'warn' : 'error';
    request.log[level](cause.message);
  }
  addHeaders(reply, headers);
  reply.code(status).send({ ...problem, instance: request.id });
}

function addHeaders(reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const present = name === 'vary' ? reply.getHeader('vary') : undefined;
    reply.header(name, present === undefined ? value : [present, value].flat().join(', '));
  }
}
