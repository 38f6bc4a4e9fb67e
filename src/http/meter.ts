/** What is counted of each answer, where somebody counts. Nothing that a caller has chosen is handed over. */
import type { FastifyInstance } from 'fastify';

import type { Unavailability } from '../domain/reports/unavailability.js';
import { urlOf } from './intake/known.js';

export const LOGIN_OUTCOMES = ['ok', 'wrong', 'limited', 'unavailable'] as const;
export type LoginOutcome = (typeof LOGIN_OUTCOMES)[number];

export interface Meter {
  /** A route may answer so. Called for all that a route may answer, before the first request. */
  expect: (route: string, method: string, status: number) => void;
  /**
   * @param route pattern of the route that was found; undefined for none
   * @param method as it was sent
   */
  answered: (route: string | undefined, method: string, status: number, seconds: number) => void;
  /** What a login was answered; other answers of the route say nothing about a password or a limit. */
  loggedIn: (outcome: LoginOutcome) => void;
  /** A request was answered that nobody knows now. */
  unavailable: (why: Unavailability) => void;
}

const OUTCOMES: Record<number, LoginOutcome | undefined> = {
  200: 'ok',
  401: 'wrong',
  409: 'limited',
  429: 'limited',
  503: 'unavailable',
};

/** What pages, and files beside them, may answer: the document of the interface does not list them. */
const OF_PAGES = [200, 302, 304, 404, 429, 500];

/** What gateways are answered, by any method. */
const OF_GATEWAYS = [200, 400, 401, 403, 421, 431, 500, 503];

/** Call it before any route is registered. */
export function meterAnswers(app: FastifyInstance, meter: Meter): void {
  app.addHook('onRoute', ({ url, method, schema, config }) => {
    // At `*` preflights of any URL end up.
    if (url === '*') return;
    const documented = Object.keys((schema?.response as object | undefined) ?? {}).map(Number);
    const statuses = config?.isForGateways === true ? OF_GATEWAYS : OF_PAGES;
    for (const each of [method].flat())
      for (const status of documented.length > 0 ? documented : statuses) meter.expect(url, each, status);
  });

  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode } = reply;
    const route = urlOf(request);
    meter.answered(route, request.method, statusCode, reply.elapsedTime / 1000);
    if (statusCode === 503) meter.unavailable(request.unavailability ?? 'other');
    if (route === '/login' && request.method === 'POST') {
      const outcome = OUTCOMES[statusCode];
      if (outcome !== undefined) meter.loggedIn(outcome);
    }
    done();
  });
}
