/** One line per request, and nothing secret in any line. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { LoggerOptions } from 'pino';

import { describeFailure } from '../domain/failures.js';
import { addressOf } from './address.js';

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
  'client_secret',
  'secret',
];

/** No line of ours holds headers or bodies; should one ever do, these members of it are cut out. */
export function loggerOptions(level: string): LoggerOptions {
  const paths = SECRETS.flatMap((name) =>
    ['', '*.', '*.*.'].map((prefix) => `${prefix}["${name}"]`.replace('.[', '[')),
  );
  return {
    level,
    base: null,
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
const ROUTINE = new Set(['/introspect', '/session', '/session/*', '/health', '/ready']);

export function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    logAnswer(request, reply);
    done();
  });
}

/** The line of one request; call it only for what no hook sees. */
export function logAnswer(request: FastifyRequest, reply: FastifyReply): void {
  const { log, method, routeOptions } = request;
  const { url = 'unknown' } = routeOptions;
  const isRoutine = reply.statusCode < 400 && ROUTINE.has(url);
  log[isRoutine ? 'debug' : 'info'](
    // Of `ip` only an address: a trusted proxy may hand on anything that was sent as X-Forwarded-For.
    {
      method,
      url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ip: addressOf(request),
    },
    'answered',
  );
}
