/** Every answer within 2.5 s: a caller who would wait longer is told 503, also while the work still waits for something. */
import type { Socket } from 'node:net';
import fastifyPlugin from 'fastify-plugin';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { AuthError, Reason } from '../../domain/errors.js';

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * What `work` brings, for a door that asks before the body is there. The answer's deadline counts this time, and not the time in
     * which the client sends the body.
     *
     * @throws {AuthError} temporarily_unavailable at the deadline
     */
    withinDeadline: <T>(request: FastifyRequest, work: Promise<T>) => Promise<T>;
  }
  interface FastifyRequest {
    /** How much of the time for the answer was spent before the body was there, in milliseconds. */
    spentMs: number;
  }
}

/** Leaves room below 2.5 s for the answer to get out. */
export const ANSWER_DEADLINE_MS = 2300;

/**
 * Counts from when the request has arrived whole, and what a door spent before that: how long a body may take is the server's
 * `requestTimeout`, which says nothing about us. (Fastify's own `handlerTimeout` counts from the headers on, and would call a slow client's
 * request our failure.) The work goes on and ends by its own deadlines; its answer is then too late.
 */
export const answerDeadline = fastifyPlugin<{ deadlineMs: number }>(
  (app, { deadlineMs }, done) => {
    // One timer for each connection, which has one request at a time: a new one for each request is a twentieth of its cost.
    const watches = new WeakMap<Socket, Watch>();

    function giveUp(watch: Watch): void {
      const { reply } = watch;
      watch.reply = null;
      if (reply === null || reply.sent || reply.raw.headersSent) return;
      reply.send(tooLate());
      // The answer of the work comes too late. Fastify would write down each such answer as a mistake of the program.
      reply.log = reply.log.child({}, { level: 'silent' });
    }

    function startWatch(reply: FastifyReply, leftMs: number): Watch {
      const watch: Watch = { reply, leftMs, timer: setTimeout(() => giveUp(watch), leftMs).unref() };
      return watch;
    }

    function tooLate(): AuthError {
      const cause = new Reason(`no answer within ${deadlineMs} ms`, 'deadline');
      return new AuthError('temporarily_unavailable', { cause });
    }

    app.decorateRequest('spentMs', 0);

    app.decorate('withinDeadline', async <T>(request: FastifyRequest, work: Promise<T>) => {
      const beganAtMs = performance.now();
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(tooLate()), deadlineMs - request.spentMs).unref();
      });
      try {
        return await Promise.race([work, deadline]);
      } finally {
        clearTimeout(timer);
        request.spentMs += performance.now() - beganAtMs;
      }
    });

    app.addHook('preValidation', ({ raw: { socket }, spentMs }, reply, next) => {
      const known = watches.get(socket);
      const leftMs = deadlineMs - spentMs;
      if (known?.leftMs === leftMs) {
        known.reply = reply;
        known.timer.refresh();
      } else {
        clearTimeout(known?.timer);
        watches.set(socket, startWatch(reply, leftMs));
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
  /** How long the timer runs, in milliseconds. */
  leftMs: number;
  timer: NodeJS.Timeout;
}
