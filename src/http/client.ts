/** The resource servers' door: a client's id and secret, and the permission that the route asks for. */
import fastifyPlugin from 'fastify-plugin';
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';

import type { Client, ClientCredentials, Permission } from '../domain/clients.js';
import { AuthError } from '../domain/errors.js';
import type { Gatehouse } from '../domain/gatehouse.js';
import type { Judgement } from '../domain/liveness/liveness.js';
import type { TokenForm } from './schemas.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The client that asks; set by the resource servers' door. */
    client: Client;
    /** What the primary says of the token in the form; set by the resource servers' door. */
    judgement: Judgement;
  }
  interface FastifyContextConfig {
    /** What a client must be allowed to do to come in here. */
    permission?: Permission;
  }
}

/**
 * Puts every route of the enclosing scope behind the resource servers' door. The client and the token of the form are
 * judged in one statement, so that a client who was removed is refused as promptly as a token that was ended.
 */
export const clientsDoor = fastifyPlugin<{ gatehouse: Gatehouse }>(
  (app, { gatehouse }, done) => {
    // With a callback: each promise is a few objects more to every request that waits.
    app.addHook('preHandler', (request, _reply, next) => {
      const form = request.body as TokenForm;
      gatehouse.judge(form.token, readCredentials(request, form)).then((judgement) => {
        const { client } = judgement;
        if (client === null) {
          next(new AuthError('invalid_client'));
          return;
        }
        if (!mayEnter(client, request)) {
          next(new AuthError('insufficient_scope'));
          return;
        }
        request.client = client;
        request.judgement = judgement;
        next();
      }, next);
    });
    done();
  },
  { name: 'clients-door' },
);

function mayEnter({ permissions }: Client, { routeOptions }: FastifyRequest): boolean {
  const { permission } = routeOptions.config;
  return permission !== undefined && permissions.includes(permission);
}

/** What was read of the headers that clients send all day; longer ones are no client's of ours. */
const known = new LRUCache<string, ClientCredentials>({ max: 1000 });
const LONGEST_KNOWN = 512;

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

/** The same object again for the same header, so that whoever checks it can remember it too. */
function readBasic(authorization: string): ClientCredentials {
  const read = known.get(authorization);
  if (read !== undefined) return read;
  const credentials = parseBasic(authorization);
  if (authorization.length <= LONGEST_KNOWN) known.set(authorization, credentials);
  return credentials;
}

/** RFC 7617, with id and secret percent-encoded as in a form (RFC 6749 section 2.3.1). */
function parseBasic(authorization: string): ClientCredentials {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1];
  const pair = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon < 1) throw new AuthError('invalid_client');
  try {
    return {
      id: decodeFormComponent(pair.slice(0, colon)),
      secret: decodeFormComponent(pair.slice(colon + 1)),
    };
  } catch (cause) {
    throw new AuthError('invalid_client', { cause });
  }
}

function decodeFormComponent(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}
