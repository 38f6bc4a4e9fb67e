// Caddy, with the configuration of examples/caddy, before a real Gatehouse and an application.
import { afterAll, beforeAll, describe } from 'vitest';

import { checkCookies } from './cookies.js';
import { caddy, describeWith } from './gateway.js';
import { checkHosts } from './hosts.js';
import { checkIdentity } from './identity.js';
import { checkOutages } from './outages.js';
import { checkRefusals } from './refusals.js';
import { checkRenewal } from './renewal.js';
import { openStage, type Stage } from './stage.js';

describeWith(caddy, () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(caddy);
  });
  afterAll(() => stage.close());

  describe('identity', () => checkIdentity(() => stage));
  describe('refusals', () => checkRefusals(() => stage));
  describe('renewal', () => checkRenewal(() => stage));
  describe('cookies', () => checkCookies(() => stage));
  describe('hosts', () => checkHosts(() => stage));
  describe('outages', () => checkOutages(() => stage));
});
