/** Which of two doors a request is for, where users and clients ask for the same thing at one address. */
import type { FastifyInstance } from 'fastify';

import { ACCESS_COOKIE, REFRESH_COOKIE } from './cookies.js';

declare module 'fastify' {
  interface RouteConstraint {
    /** `clients` for the route of two at one address that is asked with a client's secret; none for the other one. */
    door?: 'clients';
  }
}

type Strategy = Parameters<FastifyInstance['addConstraintStrategy']>[0];
type Route = Parameters<ReturnType<Strategy['storage']>['set']>[1];

/**
 * For Fastify's router. Basic is for clients, unless a cookie of ours comes with it: a browser adds Basic by itself where a proxy before
 * the service asks for a password.
 */
export const DOORS: Strategy = {
  name: 'door',
  storage: () => {
    const routes = new Map<unknown, Route>();
    return {
      get: (door) => routes.get(door) ?? null,
      set: (door, route) => {
        routes.set(door, route);
      },
    };
  },
  deriveConstraint: ({ headers: { authorization = '', cookie = '' } }) => {
    const isUsers = cookie.includes(ACCESS_COOKIE) || cookie.includes(REFRESH_COOKIE);
    return /^Basic\b/i.test(authorization) && !isUsers ? 'clients' : undefined;
  },
};
