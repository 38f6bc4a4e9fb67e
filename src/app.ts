/** The table of contents: which routes stand behind which door. */
import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import Fastify, { LogController, type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';

import type { Config } from './config/config.js';
import { readVersion } from './config/version.js';
import type { Refusals } from './domain/events/refusals.js';
import type { Gatehouse } from './domain/gatehouse.js';
import { createRangeTest } from './domain/networks.js';
import { readAccountPage } from './http/account-page.js';
import { readProxies } from './http/intake/address.js';
import { usersDoor } from './http/doors/bearer.js';
import { backendsDoor, clientsDoor, manyTokensDoor } from './http/doors/client.js';
import { DOORS } from './http/doors/either.js';
import { crossOrigin } from './http/answers/cors.js';
import { ANSWER_DEADLINE_MS, answerDeadline } from './http/intake/deadline.js';
import { backendSessionsRoute } from './http/routes/backend-sessions.js';
import { docsPage, openapiDocument, openapiRoute } from './http/openapi/docs.js';
import { answerFrameworkError } from './http/server/early-errors.js';
import { installErrors } from './http/answers/errors.js';
import { takeForms, takeJson } from './http/intake/forms.js';
import { securityHeaders } from './http/answers/headers.js';
import { hostGuard } from './http/intake/hosts.js';
import { logRequests } from './http/log/log.js';
import { addMembers } from './http/doors/members.js';
import { meterAnswers, type Meter } from './http/meter.js';
import { refuseUnknown, rememberUrls } from './http/intake/methods.js';
import { operatorsDoor } from './http/doors/operators.js';
import { createRates, RATES, type Limits } from './http/doors/rates.js';
import { countRefusals } from './http/doors/refusals.js';
import { accountRoute } from './http/routes/account.js';
import { adminClientsRoute } from './http/routes/admin/clients.js';
import { adminEventsRoute } from './http/routes/admin/events.js';
import { adminKeysRoute } from './http/routes/admin/keys.js';
import { adminRevocationsRoute } from './http/routes/admin/revocations.js';
import { adminSessionsRoute } from './http/routes/admin/sessions.js';
import { adminUsersRoute } from './http/routes/admin/users.js';
import { adminUsersImportRoute } from './http/routes/admin/users-import.js';
import { healthRoutes } from './http/routes/health.js';
import { introspectBatchRoute } from './http/routes/introspect-batch.js';
import { introspectRoute } from './http/routes/introspect.js';
import { loginRoute } from './http/routes/login.js';
import { logoutAllRoute } from './http/routes/logout-all.js';
import { logoutRoute } from './http/routes/logout.js';
import { passwordRoute } from './http/routes/password.js';
import { passwordResetRoute } from './http/routes/password-reset.js';
import { reauthenticateRoute } from './http/routes/reauthenticate.js';
import { refreshRoute } from './http/routes/refresh.js';
import { revokeRoute } from './http/routes/revoke.js';
import { rootRoute } from './http/routes/root.js';
import { sessionRoute } from './http/routes/session.js';
import { sessionsRoute } from './http/routes/sessions.js';
import { wellKnownRoutes } from './http/routes/well-known.js';
import { COMPILERS } from './http/server/compilers.js';
import { createLimitedServer, LIMITS } from './http/server/server.js';
import { refuseAmbiguity } from './http/intake/unambiguous.js';

export interface AppOptions {
  gatehouse: Gatehouse;
  config: Pick<
    Config,
    | 'corsOrigins'
    | 'trustProxy'
    | 'gatewayExt'
    | 'docs'
    | 'admin'
    | 'accountPage'
    | 'accountHelp'
    | 'issuer'
    | 'host'
  >;
  logger: Logger;
  /** Whether this replica is about to go: `/ready` tells load balancers. */
  isLeaving?: () => boolean;
  /** Counts each answer; by default nobody does, and no hook is there for it. */
  meter?: Meter | undefined;
  /** Counts what limits and doors refuse; null for nobody, by default. */
  refusals?: Pick<Refusals, 'count'> | null;
  /** Which doors are open here: those of everybody else, that of operators, or all; by default all that the config opens. */
  doors?: { public: boolean; operators: boolean };
  /** Makes a span of each request; by default nobody does. */
  traceRequests?: ((app: FastifyInstance) => Promise<void>) | undefined;
  /** For who may wait longer. */
  answerDeadlineMs?: number;
  /** How often one may ask. */
  limits?: Limits;
}

/** An id of any length is one that does not exist: let the route say so. */
const ROUTER = { maxParamLength: LIMITS.headerBytes };

/** The service as a Fastify instance that is ready to listen, or to be injected into. */
export async function buildApp({
  gatehouse,
  config,
  logger,
  isLeaving = () => false,
  meter,
  refusals = null,
  traceRequests,
  doors = { public: true, operators: config.admin },
  answerDeadlineMs = ANSWER_DEADLINE_MS,
  limits = RATES,
}: AppOptions): Promise<FastifyInstance> {
  const headers = securityHeaders(config.issuer);
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    // A child for each request costs as much as all our hooks together, and most requests write no line.
    childLoggerFactory: (parent) => parent,
    serverFactory: (handler) =>
      createLimitedServer(handler, {
        headers,
        isProxy: createRangeTest(config.trustProxy),
        onDrop: () =>
          logger.warn(
            'too many connections: those that are idle longest are closed; a network gets a quarter of them, unless TRUST_PROXY names it',
          ),
      }),
    // The server beneath answers them itself.
    clientErrorHandler: () => undefined,
    bodyLimit: LIMITS.bodyBytes,
    // Fastify's own 503 has none of our headers; what still arrives while we close is answered like anything else.
    return503OnClosing: false,
    frameworkErrors: answerFrameworkError(headers),
    routerOptions: ROUTER,
    schemaController: COMPILERS,
  }) as unknown as FastifyInstance;
  takeEveryMethod(app);
  rememberUrls(app, ROUTER);
  app.addConstraintStrategy(DOORS);
  for (const name of ['carriesToken', 'isByCookie'] as const) app.decorateRequest(name, false);
  app.decorateRequest('limit', null);
  for (const name of ['trail', 'refusal', 'reason', 'outage', 'unavailability', 'trace'] as const)
    app.decorateRequest(name, undefined);
  addMembers(app);
  readProxies(app, config.trustProxy);
  installErrors(app);
  takeJson(app);
  if (traceRequests !== undefined) await traceRequests(app);
  logRequests(app, logger);
  if (meter !== undefined) meterAnswers(app, meter);
  if (refusals !== null) countRefusals(app, refusals);
  await app.register(answerDeadline, { deadlineMs: answerDeadlineMs });
  const always = { ...headers, 'cache-control': 'no-store' };
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(always);
    reply.header('x-request-id', request.id);
    done();
  });
  refuseAmbiguity(app);
  // A connection that is kept alive would hold a replica back that has answered everything and wants to go.
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (isLeaving()) reply.header('connection', 'close');
    done(null, payload);
  });

  await app.register(hostGuard, { issuer: config.issuer, host: config.host });
  if (doors.public && config.corsOrigins.length > 0)
    await app.register(crossOrigin, { origins: config.corsOrigins });
  refuseUnknown(app);
  // What operators have to themselves is described for the address at which they ask.
  if (config.docs)
    await app.register(openapiDocument, { base: doors.public ? config.issuer : '', version: readVersion() });

  const rates = await createRates(app, gatehouse, limits);

  if (doors.public) await openPublicDoors(app, { gatehouse, config, isLeaving, rates });
  if (doors.operators) await openOperatorsDoor(app, { gatehouse, config, rates });
  if (config.docs)
    await app.register(async (readers) => {
      rates.byNetwork(readers);
      await readers.register(openapiRoute);
    });

  return app;
}

interface Doors extends Pick<AppOptions, 'gatehouse' | 'config'> {
  rates: Awaited<ReturnType<typeof createRates>>;
}

async function openPublicDoors(
  app: FastifyInstance,
  { gatehouse, config, isLeaving, rates }: Doors & { isLeaving: () => boolean },
): Promise<void> {
  // The door for anyone. Health is asked by those who watch over us: it is not limited.
  await app.register(healthRoutes, { gatehouse, isLeaving });
  await app.register(async (anyone) => {
    rates.byNetwork(anyone);
    await anyone.register(loginRoute, { gatehouse });
    await anyone.register(refreshRoute, { gatehouse });
    await anyone.register(logoutRoute, { gatehouse });
    // Judges its token itself: one of a session that it has just replaced is dead, and may repeat the call all the same.
    await anyone.register(passwordRoute, { gatehouse });
    await anyone.register(passwordResetRoute, { gatehouse });
    await anyone.register(wellKnownRoutes, { gatehouse });
    await anyone.register(rootRoute, config);
    if (config.docs) await anyone.register(docsPage);
    if (config.accountPage)
      await anyone.register(accountRoute, { page: readAccountPage({ ...gatehouse.rules, ...config }) });
  });

  // The door for clients with a secret.
  await app.register(async (clients) => {
    await takeForms(clients);
    await clients.register(clientsDoor, { gatehouse, ...rates });
    rates.countGuesses(clients);
    await clients.register(introspectRoute, { gatehouse });
    await clients.register(revokeRoute, { gatehouse });
  });
  await app.register(async (clients) => {
    await clients.register(manyTokensDoor, { gatehouse, ...rates });
    rates.countGuesses(clients);
    await clients.register(introspectBatchRoute, { gatehouse, takeTokens: rates.takeTokens });
  });

  await app.register(async (backends) => {
    await backends.register(backendsDoor, { gatehouse, ...rates });
    rates.countGuesses(backends);
    await backends.register(backendSessionsRoute, { gatehouse });
  });

  // The door for users with a token.
  await app.register(async (users) => {
    await users.register(usersDoor, { gatehouse });
    // Gateways ask for everyone from one address: it is not limited.
    await users.register(sessionRoute, config);
    await users.register(async (limited) => {
      rates.byNetwork(limited);
      await limited.register(logoutAllRoute, { gatehouse });
      await limited.register(sessionsRoute, { gatehouse });
      await limited.register(reauthenticateRoute, { gatehouse });
    });
  });
}

async function openOperatorsDoor(app: FastifyInstance, { gatehouse, config, rates }: Doors): Promise<void> {
  // The door for operators: clients as well, with other permissions.
  await app.register(async (operators) => {
    const { origin } = new URL(config.issuer);
    await operators.register(operatorsDoor, { gatehouse, ...rates, origin });
    rates.countGuesses(operators);
    await operators.register(adminUsersRoute, gatehouse);
    await operators.register(adminUsersImportRoute, gatehouse);
    await operators.register(adminSessionsRoute, gatehouse);
    await operators.register(adminRevocationsRoute, gatehouse);
    await operators.register(adminClientsRoute, gatehouse);
    await operators.register(adminKeysRoute, gatehouse);
    await operators.register(adminEventsRoute, gatehouse);
  });
}

/** Every method that Node parses (CONNECT never becomes a request): a gateway asks about PROPFIND too. */
function takeEveryMethod(app: FastifyInstance): void {
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method))
      app.addHttpMethod(method, { hasBody: true });
  }
}
