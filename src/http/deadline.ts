/** Every answer within 2.5 s: whoever waits longer is told 503, whatever the work is still waiting for. */
import type { Socket } from 'node:net';
import fastifyPlugin from 'fastify-plugin';
import type { FastifyReply } from 'fastify';

import { AuthError, Reason } from '../domain/errors.js';

/** Leaves room below 2.5 s for the answer to get out. */
export const ANSWER_DEADLINE_MS = 2300;

/**
 * Counts from when the request has arrived whole: how long a body may take is the server's `requestTimeout`, which
 * says nothing about us. (Fastify's own `handlerTimeout` counts from the headers on, and would call a slow client's
 * request our failure.) The work goes on and ends by its own deadlines; its answer is then too late.
 */
export const answerDeadline = fastifyPlugin<{ deadlineMs: number }>(
  (app, { deadlineMs }, done) => {
    // One timer for each connection, which has one request at a time: a new one for each request is a twentieth of its cost.
    const watches = new WeakMap<Socket, Watch>();

    app.addHook('preValidation', ({ raw: { socket } }, reply, next) => {
      const known = watches.get(socket);
      if (known === undefined) {
        watches.set(socket, startWatch(reply, deadlineMs));
      } else {
        known.reply = reply;
        known.timer.refresh();
      }
      next();
    });

    app.addHook('onResponse', ({ raw: { socket } }, reply, next) => {
      const watch = watches.get(socket);
      // The next request of the connection may have its turn already.
      if (watch?.reply === reply) watch.reply = null;
      next();
    });
    done();
  },
  { name: 'answer-deadline' },
);

interface Watch {
  /** What is to be answered until the timer ends; null when it has been. */
  reply: FastifyReply | null;
  timer: NodeJS.Timeout;
}

function startWatch(reply: FastifyReply, deadlineMs: number): Watch {
  const watch: Watch = { reply, timer: setTimeout(() => giveUp(watch, deadlineMs), deadlineMs).unref() };
  return watch;
}

function giveUp(watch: Watch, deadlineMs: number): void {
  const { reply } = watch;
  watch.reply = null;
  if (reply === null || reply.sent || reply.raw.headersSent) return;
  reply.send(
    new AuthError('temporarily_unavailable', {
      cause: new Reason(`no answer within ${deadlineMs} ms`),
    }),
  );
}
