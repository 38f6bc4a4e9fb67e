/** The replica of a process that serves alone: its code is loaded while the setup is prepared. */
import type { Logger } from 'pino';

import type { Service } from './replica.js';

/**
 * Begins to load it. A process that refuses to start, or that leaves serving to workers, never calls this: the code that serves takes
 * more than half of the time and memory of a start.
 */
export function loadReplica(logger: Logger): Service {
  const replica = import('./replica.js').then(({ createReplica }) => createReplica(logger));
  // The start hears of it in "serve", or ends before for another reason.
  replica.catch(() => undefined);
  return {
    serve: async (setup) => await (await replica).serve(setup),
    leave: async (signal) => {
      await (await replica).leave(signal);
    },
  };
}
