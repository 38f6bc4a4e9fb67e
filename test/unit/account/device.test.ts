// A User-Agent as people read it.
import { expect, it } from 'vitest';

import { describeDevice } from '../../../packages/account-page/src/device.js';

const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';

it.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox 145 on Linux'],
  [`${MAC} ${WEBKIT} Chrome/143.0.0.0 Safari/537.36`, 'Chrome 143 on macOS'],
  [`${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15`, 'Safari 19 on macOS'],
  [
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0`,
    'Edge 143 on Windows',
  ],
  [
    `Mozilla/5.0 (Windows NT 10.0) ${WEBKIT} Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0`,
    'Opera 124 on Windows',
  ],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1',
    'Safari 19 on iPhone',
  ],
  [
    'Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/143.0 Mobile/15E148 Safari/604.1',
    'Chrome 143 on iPad',
  ],
  [
    `Mozilla/5.0 (Linux; Android 16; Pixel 9) ${WEBKIT} Chrome/143.0.0.0 Mobile Safari/537.36`,
    'Chrome 143 on Android',
  ],
  [
    `Mozilla/5.0 (Linux; Android 15; SM-S931B) ${WEBKIT} SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36`,
    'Samsung Internet 29 on Android',
  ],
  [
    `Mozilla/5.0 (X11; CrOS x86_64 16181.0.0) ${WEBKIT} Chrome/143.0.0.0 Safari/537.36`,
    'Chrome 143 on ChromeOS',
  ],
  ['curl/8.5.0', 'curl 8.5'],
  ['okhttp/4.12.0', 'okhttp 4.12'],
  ['node', 'node'],
  ['python-requests/2.32.3', 'python-requests 2.32'],
  ['Orders (version 7)', 'Orders'],
  ['Mozilla/5.0 (PlayStation 5)', 'Unknown device'],
  ['', 'Unknown device'],
  [null, 'Unknown device'],
  ['\u202Eevil/1.0', 'Unknown device'],
])('%j is %j', (userAgent, expected) => {
  expect(describeDevice(userAgent)).toBe(expected);
});
