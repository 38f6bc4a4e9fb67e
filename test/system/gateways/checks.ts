// What every gateway must do: one list, before a real Gatehouse and an application, and between two that write down what reaches them.
import { afterAll, beforeAll, describe } from 'vitest';

import { checkCookies } from './cookies.js';
import type { Driver } from './gateway.js';
import { checkHeaders, checkUnlistedHeaders } from './headers.js';
import { checkHosts } from './hosts.js';
import { checkIdentity } from './identity.js';
import { checkOutages } from './outages.js';
import { checkPaths } from './paths.js';
import { openRecorder, type Recorder } from './recorder.js';
import { checkRefusals } from './refusals.js';
import { checkRenewal } from './renewal.js';
import { openStage, type Stage } from './stage.js';
import { checkUpgrades } from './upgrades.js';

export function checkGateway(driver: Driver): void {
  describe('before a real Gatehouse', () => {
    let stage: Stage;
    beforeAll(async () => {
      stage = await openStage(driver);
    });
    afterAll(() => stage.close());

    describe('identity', () => checkIdentity(() => stage));
    describe('refusals', () => checkRefusals(() => stage));
    describe('renewal', () => checkRenewal(() => stage));
    describe('cookies', () => checkCookies(() => stage));
    describe('hosts', () => checkHosts(() => stage));
    describe('outages', () => checkOutages(() => stage));
  });

  describe('what reaches both', () => {
    let recorder: Recorder;
    beforeAll(async () => {
      recorder = await openRecorder(driver);
    });
    afterAll(() => recorder.close());

    describe('paths', () => checkPaths(() => recorder));
    describe('headers', () => checkHeaders(() => recorder));
    if (driver.stripsByBeginning)
      describe('headers that nobody listed', () => checkUnlistedHeaders(() => recorder));
    describe('upgrades', () => checkUpgrades(() => recorder));
  });
}
