/** The Fastify plugin: every route behind it wants a live token of Gatehouse, unless it says that it is public or optional. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';

import { createIntrospector, Refusal, type Admission } from './introspector.js';
import type { GatehouseOptions } from './options.js';
import { checkConfig } from './route-config.js';
import { Unanswered } from './unanswered.js';
import type { User } from './verdict.js';

export { hasScope } from './introspector.js';
export type { GatehouseOptions, Refusal, User };

export interface PluginOptions extends GatehouseOptions {
  /** Writes refusals in the application's own way. */
  onRefusal?: OnRefusal | undefined;
}

/**
 * Makes the body of a refusal, whose status and headers are set already; it may change both, and may send the answer itself
 * (`reply.redirect`). The route's handler never runs after a refusal.
 *
 * @returns the body; undefined for the plugin's own
 */
export type OnRefusal = (refusal: Refusal, request: FastifyRequest, reply: FastifyReply) => unknown;

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose live token this request carries. Throws where there is none, on a public route, and before the hook `preParsing`. */
    user: User;
    /** The same for an optional route: null for a request without a token. Throws where nobody was asked for one. */
    findUser: () => User | null;
  }
  interface FastifyContextConfig {
    /** What the token must be good for; several, separated by spaces, are all needed. Without it any live token will do. */
    scope?: string;
    /** How many seconds ago the user may have given the password at most (`auth_time`, RFC 9470). */
    maxAge?: number;
    /** Whether the route takes requests without a token. It then knows no user. */
    public?: boolean;
    /** Whether the route also takes requests without a token. A token that is sent must be live all the same. */
    optional?: boolean;
  }
}

const ADMISSION = Symbol('gatehouse.admission');

interface Admitted {
  /** Null where nobody was asked for a token. */
  [ADMISSION]: Admission | typeof NOBODY | null;
}

/** Of a request without a token on an optional route: a cache must not give its answer to somebody else. */
const NOBODY = { user: null, headers: { vary: 'Authorization' } } as const;

/** What Fastify itself takes of a plugin's options. */
const FASTIFYS_OWN = ['prefix', 'logLevel', 'logSerializers'];

// oxlint-disable-next-line typescript/require-await -- a mistake in the options must reject, not crash
const plugin: FastifyPluginAsync<PluginOptions> = async (app, { onRefusal, ...options }) => {
  if (onRefusal !== undefined && typeof onRefusal !== 'function')
    throw new TypeError('gatehouse: onRefusal is not a function');
  const own = Object.entries(options).filter(([name]) => !FASTIFYS_OWN.includes(name));
  const introspect = createIntrospector(Object.fromEntries(own) as unknown as GatehouseOptions);

  app.decorateRequest(ADMISSION, null);
  app.decorateRequest('user', { getter: readUser });
  app.decorateRequest('findUser', findUser);
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
    if (config.optional === true && request.headers.authorization === undefined) {
      (request as unknown as Admitted)[ADMISSION] = NOBODY;
      next();
      return;
    }
    introspect(request.headers.authorization, { scope: config.scope, maxAge: config.maxAge }).then(
      (admission) => {
        (request as unknown as Admitted)[ADMISSION] =
          config.optional === true
            ? { ...admission, headers: { ...NOBODY.headers, ...admission.headers } }
            : admission;
        next();
      },
      async (error: unknown) => {
        if (error instanceof Refusal) await refuse(error, request, reply, onRefusal);
        else next(error as Error);
      },
    );
  });

  // At the last moment, when the status is known: a 5xx never carries a token.
  app.addHook('onSend', (request, reply, _payload, sent) => {
    const admission = (request as unknown as Admitted)[ADMISSION];
    if (reply.statusCode >= 500) reply.removeHeader('refreshed-api-token');
    else if (admission !== null) addHeaders(reply, admission.headers);
    sent();
  });

  app.addHook('onClose', () => introspect.close());
};

/** Register it before the routes, or the plugins with routes, that it guards. */
const gatehouse: FastifyPluginAsync<PluginOptions> = fastifyPlugin(plugin, {
  name: 'gatehouse',
  fastify: '5.x',
});

export default gatehouse;

function readUser(this: FastifyRequest): User {
  const user = findUser.call(this);
  if (user === null)
    throw new Error(
      'request.user: the request came without a token; ask request.findUser() on an optional route',
    );
  return user;
}

function findUser(this: FastifyRequest): User | null {
  const admission = (this as unknown as Admitted)[ADMISSION];
  if (admission === null)
    throw new Error(
      'request.user: nobody was asked for a token, on a public route or before the hook preParsing',
    );
  return admission.user;
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
async function refuse(
  refusal: Refusal,
  request: FastifyRequest,
  reply: FastifyReply,
  onRefusal: OnRefusal | undefined,
): Promise<void> {
  const { status, headers, problem, cause } = refusal;
  if (cause instanceof Error) {
    const level = cause instanceof Unanswered && !cause.isMisconfigured ? 'warn' : 'error';
    request.log[level](cause.message);
  }
  const { 'content-type': type = '', ...others } = headers;
  reply.code(status);
  addHeaders(reply, others);
  let body: unknown;
  try {
    body = await onRefusal?.(refusal, request, reply);
  } catch (error) {
    request.log.error(error, 'onRefusal has failed');
    reply.code(status);
  }
  if (reply.sent) return;
  if (body === undefined) reply.type(type).send({ ...problem, instance: request.id });
  else reply.send(body);
}

function addHeaders(reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const present = name === 'vary' ? reply.getHeader('vary') : undefined;
    reply.header(name, present === undefined ? value : [present, value].flat().join(', '));
  }
}
