// nginx, with the configuration of examples/nginx, before a real Gatehouse and an application.
import { afterAll, beforeAll, describe } from 'vitest';

import { checkCookies } from './cookies.js';
import { describeWith, nginx } from './gateway.js';
import { checkHeaders } from './headers.js';
import { checkHosts } from './hosts.js';
import { checkIdentity } from './identity.js';
import { checkOutages } from './outages.js';
import { checkPaths } from './paths.js';
import { openRecorder, type Recorder } from './recorder.js';
import { checkRefusals } from './refusals.js';
import { checkRenewal } from './renewal.js';
import { openStage, type Stage } from './stage.js';
import { checkUpgrades } from './upgrades.js';

describeWith(nginx, () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(nginx);
  });
  afterAll(() => stage.close());

  describe('identity', () => checkIdentity(() => stage));
  describe('refusals', () => checkRefusals(() => stage));
  describe('renewal', () => checkRenewal(() => stage));
  describe('cookies', () => checkCookies(() => stage));
  describe('hosts', () => checkHosts(() => stage));
  describe('outages', () => checkOutages(() => stage));

  describe('what reaches both', () => {
    let recorder: Recorder;
    beforeAll(async () => {
      recorder = await openRecorder(nginx);
    });
    afterAll(() => recorder.close());

    describe('paths', () => checkPaths(() => recorder));
    describe('headers', () => checkHeaders(() => recorder));
    describe('upgrades', () => checkUpgrades(() => recorder));
  });
});
