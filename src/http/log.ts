/** One line per request, and nothing secret in any line. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { LoggerOptions } from 'pino';

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
  };
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
export function logAnswer({ log, method, routeOptions, ip }: FastifyRequest, reply: FastifyReply): void {
  const { url = 'unknown' } = routeOptions;
  const isRoutine = reply.statusCode < 400 && ROUTINE.has(url);
  log[isRoutine ? 'debug' : 'info'](
    { method, url, status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10, ip },
    'answered',
  );
}
