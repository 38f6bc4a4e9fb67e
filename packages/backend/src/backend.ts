/** Sessions for an application's own users: it says who somebody is, and Gatehouse gives tokens that can be ended at once. */
import { BackendError } from './errors.js';
import { readOptions, type BackendOptions } from './options.js';
import {
  readClientSession,
  readEnded,
  readOpened,
  type ClientSession,
  type Ended,
  type NewSession,
  type OpenedSession,
  type SessionPatch,
} from './sessions.js';
import { createWire } from './wire.js';

export { BackendError };
export type { BackendOptions, ClientSession, Ended, NewSession, OpenedSession, SessionPatch };
export type { Acting, Extension, Json } from '@gatehouse/protocol';

/** No call is repeated by itself: after a failure that {@link BackendError.isUnavailable} tells of, ask again. */
export interface Backend {
  /**
   * Opens a session for a user of this client. The first one makes the user.
   *
   * A repetition opens a second session. After a failure without an answer, and after a 503, the first one may be open as well: nobody has
   * its tokens, and it ends with its lifetime or by `endAll`.
   *
   * @throws {BackendError} `invalid_request` (with `errors`), `user_disabled`, `too_many_sessions`, …
   */
  openSession: (session: NewSession) => Promise<OpenedSession>;
  /**
   * Changes what is said of a session that this client has opened. Where something changes, access tokens of before are dead when this
   * resolves; the refresh token gives new ones.
   *
   * @param id `session_id` of the opening
   * @throws {BackendError} `not_found`, also for a session that has ended; `invalid_request`, …
   */
  updateSession: (id: string, patch: SessionPatch) => Promise<ClientSession>;
  /**
   * Ends a session that this client has opened. Its tokens are dead on every replica when this resolves.
   *
   * @returns true, also for a session that had ended; false where this client has no such session
   * @throws {BackendError} when it cannot be known to have ended: call it again
   */
  endSession: (id: string) => Promise<boolean>;
  /**
   * Ends all sessions of a user of this client, also those that are being opened.
   *
   * @returns how many ended: none for a user whom nobody has opened a session for
   * @throws {BackendError} when they cannot be known to have ended: call it again
   */
  endAll: (externalId: string) => Promise<Ended>;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @throws {TypeError} that names every mistake in the options, and repeats no value */
export function createBackend(options: BackendOptions): Backend {
  const { ask } = createWire(readOptions(options));

  return {
    openSession: async (session) => {
      const hasRefresh = session.refresh !== false;
      return readOpened(await ask('POST', '/sessions', 201, session), hasRefresh);
    },
    updateSession: async (id, patch) => readClientSession(await ask('PATCH', pathOf(id), 200, patch)),
    endSession: async (id) => {
      try {
        await ask('DELETE', pathOf(id), 204);
        return true;
      } catch (error) {
        if (error instanceof BackendError && error.status === 404 && error.code === 'not_found') return false;
        throw error;
      }
    },
    endAll: async (externalId) =>
      readEnded(await ask('POST', '/logout-all', 200, { external_id: externalId })),
  };
}

/**
 * What is no id leads nowhere: `..` would be another address.
 *
 * @throws {BackendError} not_found
 */
function pathOf(id: string): string {
  if (!UUID.test(id))
    throw new BackendError('not_found', 'This is not the id of a session.', { status: 404 });
  return `/sessions/${id}`;
}
