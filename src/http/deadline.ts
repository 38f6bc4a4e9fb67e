/** Every answer within 2.5 s: whoever waits longer is told 503, whatever the work is still waiting for. */
import fastifyPlugin from 'fastify-plugin';

import { AuthError, Reason } from '../domain/errors.js';

/** Leaves room below 2.5 s for the answer to get out. */
const ANSWER_DEADLINE_MS = 2300;

/**
 * Counts from when the request has arrived whole: how long a body may take is the server's `requestTimeout`, which
 * says nothing about us. (Fastify's own `handlerTimeout` counts from the headers on, and would call a slow client's
 * request our failure.) The work goes on and ends by its own deadlines; its answer is then too late.
 */
export const answerDeadline = fastifyPlugin(
  (app, _options, done) => {
    app.decorateRequest('deadline', undefined);

    app.addHook('preValidation', (request, reply, next) => {
      request.deadline = setTimeout(() => {
        if (reply.sent || reply.raw.headersSent) return;
        reply.send(
          new AuthError('temporarily_unavailable', {
            cause: new Reason(`no answer within ${ANSWER_DEADLINE_MS} ms`),
          }),
        );
      }, ANSWER_DEADLINE_MS);
      next();
    });

    app.addHook('onResponse', (request, _reply, next) => {
      clearTimeout(request.deadline);
      next();
    });
    done();
  },
  { name: 'answer-deadline' },
);

declare module 'fastify' {
  interface FastifyRequest {
    deadline: NodeJS.Timeout | undefined;
  }
}
