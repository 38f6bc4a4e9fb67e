// docs/keys.md says how long tokens are, by algorithm: for columns, headers and cookies that must hold them.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { login, openHouse } from '../support/house.js';

const page = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');

it.each(['EdDSA', 'ES256', 'RS256'] as const)(
  'tokens of %s are as long as the page says',
  async (algorithm) => {
    const house = await openHouse();
    try {
      const config = { jwtAlgorithm: algorithm, issuer: 'http://localhost:3000' };
      const replica = await house.replica({ config });
      const pair = await login(replica, await house.user({ username: 'demo', scope: 'demo' }));
      const lengths = [pair.access_token, pair.refresh_token].map((token) => `${token.length} characters`);
      const row = new RegExp(
        `^\\| \`${algorithm}\` +\\| +(.*?) +\\| +(.*?) +\\| +(\\d+) characters`,
        'm',
      ).exec(page);
      expect(row?.slice(1)).toEqual([...lengths, String(pair.access_token.split('.')[2]?.length)]);
    } finally {
      await house.close();
    }
  },
);
