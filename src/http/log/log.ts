/** One line per request, and nothing secret in any line. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import pino, { type Logger, type LoggerOptions } from 'pino';

import { describeFailure } from '../../domain/reports/failures.js';
import type { Trail } from '../../domain/reports/told.js';
import { findMember } from '../doors/members.js';
import { urlOf } from '../intake/known.js';
import { createOutageLog } from './outages.js';
import { createThinning } from './thinning.js';
import { trailOf } from './trail.js';

const SECRETS = [
  'authorization',
  'cookie',
  'set-cookie',
  'refreshed-api-token',
  'token',
  'access_token',
  'refresh_token',
  'accessToken',
  'refreshToken',
  'password',
  'current_password',
  'new_password',
  'client_secret',
  'secret',
];

/** What waits for whoever reads the log; the lines beyond are lost, and no request waits for it. */
const MAX_UNWRITTEN_BYTES = 8 * 1024 * 1024;

/** Lines are gathered up to this size or age: each writing wakes another thread, and costs more than many lines. */
const GATHERED_BYTES = 4096;
const GATHERED_MS = 100;

/** The service's log on standard output, written by another thread. */
export function createLogger(level: string, workers: number): Logger {
  const destination = pino.destination({
    dest: 1,
    sync: false,
    minLength: GATHERED_BYTES,
    periodicFlush: GATHERED_MS,
    maxLength: MAX_UNWRITTEN_BYTES,
  });
  outliveErrors(destination);
  return pino(loggerOptions(level, workers), destination);
}

/**
 * A log that cannot be written is no reason to stop: without a listener a full disk would end us. The lines wait, and each
 * new one is another attempt. At our end nobody waits for room: the destination itself would, for ever.
 */
function outliveErrors(destination: ReturnType<typeof pino.destination>): void {
  let isWritable = true;
  destination.on('error', () => (isWritable = false));
  destination.on('write', () => (isWritable = true));
  const flushSync = destination.flushSync.bind(destination);
  destination.flushSync = () => {
    if (isWritable) flushSync();
  };
}

/**
 * No line of ours holds headers or bodies; should one ever do, these members of it are cut out.
 *
 * @param workers how many processes write to the same log; of several each line names its own
 */
export function loggerOptions(level: string, workers = 1): LoggerOptions {
  const named = SECRETS.flatMap((name) =>
    ['', '*.', '*.*.'].map((prefix) => `${prefix}["${name}"]`.replace('.[', '[')),
  );
  // Elsewhere a code is that of an error.
  const paths = [...named, 'body.code', '*.body.code'];
  return {
    level,
    base: workers > 1 ? { pid: process.pid } : null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths, censor: '[redacted]' },
    serializers: {
      err: (error: unknown) => describeFailure(error),
      error: (error: unknown) => describeFailure(error),
      // Fastify hands these over whole, with headers, body and query.
      req: ({ method }: { method?: string }) => ({ method }),
      res: ({ statusCode }: { statusCode?: number }) => ({ statusCode }),
    },
    hooks: {
      logMethod(args, method) {
        method.apply(this, withoutQuotations(args) as typeof args);
      },
    },
  };
}

/**
 * What is logged, without the words of an error in the place of a message: pino and Fastify put them there. What a
 * message quotes is a value; Fastify quotes the URL that was asked for.
 */
function withoutQuotations([subject, message, ...rest]: unknown[]): unknown[] {
  if (typeof subject === 'string') return [cutQuotation(subject), message, ...rest];
  const error =
    subject instanceof Error ? subject : (subject as { err?: { message?: unknown } | null } | null)?.err;
  if (error === undefined || error === null) return [subject, cutQuotation(message), ...rest];
  const isItsOwn = message === undefined || message === error.message;
  return [subject === error ? { err: error } : subject, isItsOwn ? 'failed' : cutQuotation(message), ...rest];
}

function cutQuotation(message: unknown): unknown {
  return typeof message === 'string' ? message.replace(/".*"/s, '"…"') : message;
}

/** Asked all day by programs: a good answer is worth a line only to those who look for it. */
const ROUTINE = new Set(['/introspect', '/introspect/batch', '/session', '/session/*', '/health', '/ready']);

export function logRequests(app: FastifyInstance, logger: Logger): void {
  const tellsAll = logger.isLevelEnabled('debug');
  const isWorthALine = createThinning(logger);
  const noteOutage = createOutageLog(logger);
  app.addHook('onResponse', (request, reply, done) => {
    const { unavailability, outage, reason, trail } = request;
    if (unavailability !== undefined) noteOutage(unavailability, outage ?? reason);
    const isTold =
      unavailability === undefined ? !isRoutine(request, reply) : isWorthALine(reason ?? unavailability);
    if (tellsAll || isTold) logAnswer(request, reply);
    if (trail?.verdict === 'reused') logTheft(request, trail);
    done();
  });
}

function isRoutine(request: FastifyRequest, { statusCode }: FastifyReply): boolean {
  return statusCode < 400 && ROUTINE.has(urlOf(request) ?? '');
}

/**
 * The line of one request; call it only for what no hook sees. It is never louder than `info`: a caller can make thousands of such
 * lines at will, and they must not wake anybody. Members that are undefined are left out.
 */
export function logAnswer(request: FastifyRequest, reply: FastifyReply): void {
  const { log, method, refusal, reason, unavailability } = request;
  const { origin: _sent, ...trail } = trailOf(request);
  const line = {
    reqId: request.id,
    ...request.trace,
    method,
    url: urlOf(request) ?? 'unknown',
    status: reply.statusCode,
    ms: Math.round(reply.elapsedTime * 10) / 10,
    ip: request.address,
    client: findMember(request, 'client')?.id,
    ...trail,
    code: refusal,
    reason: reason ?? trail.reason,
    missing: unavailability,
  };
  log[isRoutine(request, reply) ? 'debug' : 'info'](line, 'answered');
}

/** Beside the line of its request, which is one among thousands. */
function logTheft({ id, log, address, trace }: FastifyRequest, { user, session }: Trail): void {
  log.warn(
    { reqId: id, ...trace, ip: address, user, session },
    'a refresh token was used again too late: taken for theft, its session has ended',
  );
}
