/** `gatehouse keys`: the keys that sign tokens. */
import type { Command } from 'commander';

import type { Database } from '../database/prisma.js';
import { readSecrets } from '../process/environment.js';
import { WrongSecret } from '../domain/errors.js';
import { findSealingSecret, reencryptKeys, rotateKeys } from '../domain/keys/lifecycle.js';
import { resetKeys, retireKey } from '../domain/keys/retirement.js';
import { JWKS_MAX_AGE_SECONDS, listKeys, loadKeys } from '../domain/keys/keys.js';
import { findAlgorithm, warnOfChange } from './algorithm.js';
import { showKey, showTime } from '../domain/operators/shown.js';
import { findActor } from './options.js';
import { examples, Refusal, toId, toTable } from './output.js';
import type { Shell } from './shell.js';

export function defineKeys(keys: Command, shell: Shell): void {
  defineList(keys, shell);
  defineRotate(keys, shell);
  defineRetire(keys, shell);
  defineReencrypt(keys, shell);
  defineReset(keys, shell);
}

function defineList(keys: Command, { withDatabase, print }: Shell): void {
  keys
    .command('list')
    .description('list all keys, oldest first, and what each does: next, signing, verifying or retired')
    .action(async () => {
      await withDatabase(async (database) => {
        const rows = (await listKeys(database)).map(showKey);
        print(rows, toTable(rows, 'no keys: the service makes the first one when it starts'));
      });
    });
}

function defineRotate(keys: Command, { withDatabase, print, tell, config }: Shell): void {
  keys
    .command('rotate')
    .description(
      `publish the next key; it signs from ${(2 * JWKS_MAX_AGE_SECONDS) / 60} minutes later, when every cache has it`,
    )
    .addHelpText(
      'after',
      '\nThe algorithm is JWT_ALGORITHM; a warning says when that is another one than before. The old key verifies until its\n' +
        'last token is dead.\n' +
        examples('gatehouse keys rotate'),
    )
    .action(async () => {
      await withDatabase(async (database) => {
        const { jwtAlgorithm, ...rest } = await config();
        const secret = await takeRightSecret(database, rest);
        const before = await findAlgorithm(database);
        const next = await rotateKeys(database, jwtAlgorithm, secret, findActor());
        if (next === null) throw new Refusal(await explainWaiting(database));
        const signsAt = showTime(next.signsAt);
        warnOfChange(tell, before, jwtAlgorithm, `by ${signsAt}`);
        print(
          { kid: next.kid, algorithm: jwtAlgorithm, state: 'next', signs_at: signsAt },
          `the key ${next.kid} (${jwtAlgorithm}) is published and signs from ${signsAt} on`,
        );
      });
    });
}

function defineRetire(keys: Command, { withDatabase, print, tell, config }: Shell): void {
  keys
    .command('retire')
    .description('for a leak: the key dies, EVERY session of EVERY user ends, and a new key signs at once')
    .argument('<kid>', 'id of the leaked key, see `gatehouse keys list`')
    .addHelpText('after', examples('gatehouse keys retire 3f9a1c0b77de4412'))
    .action(async (kid: string) => {
      await withDatabase(async (database) => {
        const { jwtAlgorithm, ...rest } = await config();
        const secret = await takeRightSecret(database, rest);
        const before = await findAlgorithm(database);
        const fresh = await retireKey(database, kid, jwtAlgorithm, secret, findActor());
        if (fresh === null) throw new Refusal(await explainUnretired(database, kid));
        warnOfChange(tell, before, jwtAlgorithm, 'from now on');
        print(
          { kid: fresh.kid, algorithm: jwtAlgorithm, state: 'signing', retired_kid: kid },
          `the key ${kid} is dead and every session has ended; the key ${fresh.kid} (${jwtAlgorithm}) signs now`,
        );
      });
    });
}

function defineReencrypt(keys: Command, { withDatabase, print, config }: Shell): void {
  keys
    .command('reencrypt')
    .description('encrypt the keys with AUTH_SECRET instead of AUTH_SECRET_PREVIOUS')
    .addHelpText(
      'after',
      '\nTo change the secret, restart the service with the new AUTH_SECRET and the old one as AUTH_SECRET_PREVIOUS,\n' +
        'run this with the same two, then take AUTH_SECRET_PREVIOUS away. Either may come from a file: AUTH_SECRET_FILE,\n' +
        'AUTH_SECRET_PREVIOUS_FILE.\n' +
        examples('AUTH_SECRET=new… AUTH_SECRET_PREVIOUS=old… gatehouse keys reencrypt'),
    )
    .action(async () => {
      await withDatabase(async (database) => {
        const [secret, previous] = await readSecrets(await config());
        if (previous === undefined) {
          throw new Refusal(
            'AUTH_SECRET_PREVIOUS is not set: set it to the secret that the keys are encrypted with now, ' +
              'and AUTH_SECRET to the new one',
          );
        }
        const outcome = await reencryptKeys(database, secret, previous, findActor());
        if ('unreadable' in outcome) {
          throw new Refusal(
            `nothing was changed: neither AUTH_SECRET nor AUTH_SECRET_PREVIOUS opens ${outcome.unreadable.join(', ')}`,
          );
        }
        const { reencrypted } = outcome;
        print(
          { reencrypted },
          `${reencrypted} ${reencrypted === 1 ? 'key' : 'keys'} encrypted with AUTH_SECRET`,
        );
      });
    });
}

const RESET =
  'every session of every user ends, every key dies, and a new key signs at once, encrypted with the AUTH_SECRET of today; ' +
  'users, passwords and clients stay';

function defineReset(keys: Command, { withDatabase, print, tell, config }: Shell): void {
  keys
    .command('reset')
    .description(`for a lost AUTH_SECRET: ${RESET}`)
    .option('--end-everything', 'do it')
    .addHelpText(
      'after',
      '\nSet a new AUTH_SECRET first, for this command and for the service; AUTH_SECRET_PREVIOUS does not matter here.\n' +
        examples('AUTH_SECRET=new… gatehouse keys reset --end-everything'),
    )
    .action(async ({ endEverything }: { endEverything?: true }) => {
      if (endEverything !== true) {
        throw new Refusal(`nothing was changed: with --end-everything ${RESET}`, { isWrongUsage: true });
      }
      await withDatabase(async (database) => {
        const { jwtAlgorithm, ...rest } = await config();
        const [secret] = await readSecrets(rest);
        const before = await findAlgorithm(database);
        const fresh = await resetKeys(database, jwtAlgorithm, secret, findActor());
        if (fresh === null)
          throw new Refusal('there is no key yet: the service makes the first one when it starts');
        warnOfChange(tell, before, jwtAlgorithm, 'from now on');
        const { kid, retired } = fresh;
        print(
          { kid, algorithm: jwtAlgorithm, state: 'signing', retired },
          `every session has ended and ${retired} ${retired === 1 ? 'key is' : 'keys are'} dead; ` +
            `the key ${kid} (${jwtAlgorithm}) signs now`,
        );
      });
    });
}

/**
 * The secret to seal a new key with. Sealed with a secret that no replica knows, the key would leave all of them
 * unable to sign.
 */
async function takeRightSecret(
  database: Database,
  config: Parameters<typeof readSecrets>[0],
): Promise<string> {
  const { keys } = await loadKeys(database);
  if (keys.length === 0)
    throw new Refusal('there is no key yet: the service makes the first one when it starts');
  const secret = findSealingSecret(keys, await readSecrets(config));
  if (secret === null) throw new WrongSecret('AUTH_SECRET does not open the newest key');
  return secret;
}

async function explainWaiting(database: Database): Promise<string> {
  const next = (await listKeys(database)).find(({ state }) => state === 'next');
  if (next === undefined)
    return 'the keys have just been changed by somebody else: look at them and try again';
  return `the key ${next.kid} is waiting already and signs from ${showTime(next.signsAt)} on`;
}

async function explainUnretired(database: Database, kid: string): Promise<string> {
  const key = (await listKeys(database)).find((candidate) => candidate.kid === kid);
  if (key === undefined) return `there is no key ${toId(kid)}: see \`gatehouse keys list\``;
  return `the key ${kid} was retired at ${showTime(key.retiredAt ?? 0)} already`;
}
