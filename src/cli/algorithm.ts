/** What the commands of `gatehouse keys` say when tokens get another algorithm. */
import type { Database } from '../database/prisma.js';
import { listKeys } from '../domain/keys/keys.js';
import type { Shell } from './shell.js';

/** Who asks us about tokens need not care; who checks signatures may know one algorithm and not the other. */
export function warnOfChange(
  tell: Shell['tell'],
  before: string | undefined,
  after: string,
  when: string,
): void {
  if (before === undefined || before === after) return;
  tell(
    `warning: the algorithm changes from ${before} to ${after}. Each service that checks signatures itself must know ` +
      `${after} ${when}: without it, it refuses every new token (docs/keys.md)`,
  );
}

/** Of the key that signs now. */
export async function findAlgorithm(database: Database): Promise<string | undefined> {
  return (await listKeys(database)).find(({ state }) => state === 'signing')?.algorithm;
}
