/** `gatehouse migrate`: brings the database to the shape that this version expects. */
import type { Command } from 'commander';

import { migrate } from '../database/migrate.js';
import { examples } from './output.js';
import type { Shell } from './shell.js';

export function defineMigrate(command: Command, { withUrl, print }: Shell): void {
  command.addHelpText('after', examples('gatehouse migrate')).action(async () => {
    await withUrl(async (url) => {
      const applied = await migrate(url);
      print(applied, applied.length === 0 ? 'nothing to do' : applied.join('\n'));
    });
  });
}
