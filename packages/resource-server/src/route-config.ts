/** What a route may say of its guard, checked when it is added. */
import { checkMaxAge } from './recency.js';
import { checkScope } from './scope.js';

/** @throws {TypeError} that names the route: a guard that cannot be understood is none */
export function checkConfig(
  config: { scope?: unknown; maxAge?: unknown; public?: unknown; optional?: unknown },
  route: string,
): void {
  try {
    if (config.scope !== undefined) checkScope(config.scope);
    checkMaxAge(config.maxAge);
  } catch (cause) {
    throw new TypeError(`${(cause as Error).message} (${route})`, { cause });
  }
  for (const name of ['public', 'optional'] as const) {
    if (config[name] !== undefined && typeof config[name] !== 'boolean')
      throw new TypeError(`gatehouse: \`${name}\` is true or false (${route})`);
    // Nobody may take it for a guard: requests without a token have neither.
    if (config[name] === true && (config.scope ?? config.maxAge) !== undefined)
      throw new TypeError(`gatehouse: a route that is ${name} asks for no scope and no maxAge (${route})`);
  }
  if (config.public === true && config.optional === true)
    throw new TypeError(`gatehouse: a route is public or optional, and not both (${route})`);
}
