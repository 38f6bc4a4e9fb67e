/** Scopes: words between single spaces, of which a user has some and a route needs some (RFC 6749 section 3.3). */
import { isScope } from '@gatehouse/protocol';

import type { User } from './verdict.js';

/**
 * Whether the user may do all of this. For what depends on the request's own data; where the whole route needs it, the
 * introspector asks.
 *
 * @param needed several are separated by spaces; the empty one needs nothing
 */
export function hasScope({ scope = '' }: Pick<User, 'scope'>, needed: string): boolean {
  checkScope(needed);
  const granted = scope.split(' ');
  return needed === '' || needed.split(' ').every((one) => granted.includes(one));
}

/** A mistake in the program, said before anybody is asked. @throws {TypeError} */
export function checkScope(scope: unknown): void {
  if (scope !== '' && !isScope(scope))
    throw new TypeError(
      'gatehouse: `scope` is one text, such as "orders:read", or several separated by one space',
    );
}
