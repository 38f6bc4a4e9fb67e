/** How long requests took, by method, route and status: a fixed number of series for all requests. */
import type { Registry } from 'prom-client';

import { createHistogram, type Observe } from './plain.js';

/** In seconds. Every answer is there after 2.5 s; most take a few milliseconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

const METHODS = new Set(['GET', 'POST', 'DELETE']);
/** Every other method: gateways ask by any of them. */
const OTHER = 'other';

/** The route of what no route takes: an unknown path, another spelling of a known one, a method that a path does not take. */
const UNMATCHED = 'unmatched';
const OF_UNMATCHED = [204, 400, 403, 404, 405, 413, 415, 421, 429, 431, 500, 503];

/** HEAD is a GET without the body. */
function nameOf(method: string): string {
  if (method === 'HEAD') return 'GET';
  return METHODS.has(method) ? method : OTHER;
}

export function createAnswers(registry: Registry): {
  expect: (route: string, method: string, status: number) => void;
  answered: (route: string | undefined, method: string, status: number, seconds: number) => void;
} {
  const addSeries = createHistogram(
    registry,
    {
      name: 'http_request_duration_seconds',
      help: 'Time from a request to its answer, by route pattern; what no route takes is unmatched.',
    },
    BUCKETS,
  );
  const routes = new Map<string, Map<string, Map<number, Observe>>>();

  function expect(route: string, method: string, status: number): Observe {
    const methods = getOrAdd(routes, route, () => new Map<string, Map<number, Observe>>());
    const statuses = getOrAdd(methods, nameOf(method), () => new Map<number, Observe>());
    return getOrAdd(statuses, status, () =>
      addSeries({ method: nameOf(method), route, status_code: String(status) }),
    );
  }

  for (const status of OF_UNMATCHED) expect(UNMATCHED, OTHER, status);
  return {
    expect,
    answered: (route = UNMATCHED, method, status, seconds) => {
      const statuses = routes.get(route)?.get(nameOf(method));
      const observe = statuses?.get(status) ?? expect(UNMATCHED, OTHER, status);
      observe(seconds);
    },
  };
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = create();
  map.set(key, value);
  return value;
}
