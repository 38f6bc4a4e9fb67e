/** The resource servers' door: a client's id and secret, and the permission that the route asks for. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyInstance, FastifyRequest } from 'fastify';

import type { Client, ClientCredentials, Permission } from '../../domain/clients.js';
import { AuthError } from '../../domain/errors.js';
import type { Gatehouse } from '../../domain/gatehouse.js';
import type { Judgement } from '../../domain/liveness/liveness.js';
import type { TokenForm } from '../openapi/schemas.js';
import { readBasic } from './basic.js';
import type { Rates } from './rates.js';
import { nameDoor } from './refusals.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The client that asks; set by the resource servers' doors. */
    client: Client;
    /** What the primary says of the token in the form; set by the resource servers' door. */
    judgement: Judgement;
    /** What the client has sent to say who it is; set by the door for many tokens. */
    credentials: ClientCredentials;
  }
  interface FastifyContextConfig {
    /** What a client must be allowed to do to come in here. */
    permission?: Permission;
  }
}

export interface DoorOptions {
  gatehouse: Gatehouse;
  /**
   * Refuses wrong credentials of a network that has spent them, before the database is asked about each: a flood of guesses
   * costs no statements.
   */
  assertMayGuess: Rates['assertMayGuess'];
  /** Counts a request of a client that has proved who it is. Only then is looked at what it may ask, and at the rest of the request. */
  takeRequest: Rates['takeRequest'];
}

/**
 * Puts every route of the enclosing scope behind the resource servers' door. The client and the token of the form are
 * judged in one statement, so that a client who was removed is refused as promptly as a token that was ended.
 */
export const clientsDoor = fastifyPlugin<DoorOptions>(
  (app, { gatehouse, assertMayGuess, takeRequest }, done) => {
    nameDoor(app, 'clients');
    // With a callback: each promise is a few objects more to every request that waits.
    app.addHook('preHandler', (request, _reply, next) => {
      const form = request.body as TokenForm;
      const credentials = readCredentials(request, form);
      const judge = () => gatehouse.judge(form.token, credentials);
      const judged =
        gatehouse.findKnownClient(credentials) === null
          ? assertMayGuess(request, credentials).then(judge)
          : judge();
      judged
        .then((judgement) => {
          request.judgement = judgement;
          return admit(judgement.client, request, takeRequest);
        })
        .then(() => next(), next);
    });
    done();
  },
  { name: 'clients-door' },
);

/**
 * Before the body is read: who asks, and whether that client may. A body is read, and kept, only of a client that may ask, as far as
 * this replica has heard. So credentials are in Basic alone. Who is let in is to be judged again when the body is there.
 */
export function admitBeforeBody(
  app: FastifyInstance,
  { gatehouse, assertMayGuess, takeRequest }: DoorOptions,
): (request: FastifyRequest) => Promise<void> {
  async function askForClient(request: FastifyRequest, known: Client | null): Promise<Client | null> {
    const { credentials } = request;
    if (known === null) await assertMayGuess(request, credentials);
    return (await gatehouse.judge(null, credentials)).client;
  }

  return async (request) => {
    const { authorization } = request.headers;
    if (authorization === undefined) throw new AuthError('invalid_client', { detail: NO_BASIC });
    request.credentials = readBasic(authorization);
    const known = gatehouse.findKnownClient(request.credentials);
    // A refusal is final, so only the primary can be the reason.
    const client = mayAsk(known, request)
      ? known
      : await app.withinDeadline(request, askForClient(request, known));
    await admit(client, request, takeRequest);
  };
}

/** The same door for a route that takes many tokens in JSON, which judges them itself, and the client with them. */
export const manyTokensDoor = fastifyPlugin<DoorOptions>(
  (app, options, done) => {
    nameDoor(app, 'clients');
    app.addHook('onRequest', admitBeforeBody(app, options));
    done();
  },
  { name: 'many-tokens-door' },
);

/**
 * The door for backends: as for operators, the primary is asked who the client is when the body has arrived, so that one that was
 * removed meanwhile does nothing more.
 */
export const backendsDoor = fastifyPlugin<DoorOptions>(
  (app, options, done) => {
    nameDoor(app, 'clients');
    app.addHook('onRequest', admitBeforeBody(app, options));
    app.addHook('preValidation', (request) => admitAgain(request, options.gatehouse));
    done();
  },
  { name: 'backends-door' },
);

/** @throws {AuthError} invalid_client, insufficient_scope */
export async function admitAgain(
  request: FastifyRequest,
  { judge }: Pick<Gatehouse, 'judge'>,
): Promise<void> {
  const { client } = await judge(null, request.credentials);
  assertMayAsk(client, request);
  if (client !== null) request.client = client;
}

/**
 * Lets a client in.
 *
 * @throws {AuthError} invalid_client when the credentials are nobody's, too_many_requests, insufficient_scope
 */
async function admit(
  client: Client | null,
  request: FastifyRequest,
  takeRequest: Rates['takeRequest'],
): Promise<void> {
  if (client === null) throw new AuthError('invalid_client');
  request.client = client;
  await takeRequest(request);
  assertMayAsk(client, request);
}

/** @throws {AuthError} invalid_client when the credentials are nobody's, insufficient_scope */
export function assertMayAsk(client: Client | null, request: FastifyRequest): void {
  if (client === null) throw new AuthError('invalid_client');
  if (!mayAsk(client, request)) throw new AuthError('insufficient_scope');
}

function mayAsk(client: Client | null, { routeOptions }: FastifyRequest): boolean {
  const { permission } = routeOptions.config;
  return permission !== undefined && client?.permissions.includes(permission) === true;
}

const NO_BASIC = 'Authenticate with a client id and a client secret, in Basic.';

/** One sentence for id and secret: it does not say which of them differs. */
const DIFFERENT =
  'The form and the Authorization header carry different credentials: send them in one place, or the same in both.';

/**
 * Basic or the form (RFC 6749 section 2.3.1), or both with the same: some libraries send them twice. Where they differ, it
 * cannot be told who asks.
 */
function readCredentials(request: FastifyRequest, form: TokenForm): ClientCredentials {
  const { authorization } = request.headers;
  const { client_id: id, client_secret: secret } = form;
  if (authorization === undefined) {
    if (id === undefined && secret === undefined)
      throw new AuthError('invalid_client', { detail: 'Authenticate with a client id and a client secret.' });
    return { id: id ?? '', secret: secret ?? '' };
  }
  const credentials = readBasic(authorization);
  if ((id ?? credentials.id) !== credentials.id || (secret ?? credentials.secret) !== credentials.secret)
    throw new AuthError('invalid_request', { detail: DIFFERENT });
  return credentials;
}
