// Hosts to listen on: which of them have an address in common.
import { describe, expect, it } from 'vitest';

import { haveCommonAddress } from '../../../src/domain/networks.js';

describe('an address in common', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '::ffff:127.0.0.1'],
    ['127.0.0.1', 'localhost'],
    ['::1', 'LOCALHOST'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['0.0.0.0', '10.0.0.1'],
    ['0.0.0.0', 'localhost'],
    ['0.0.0.0', 'gatehouse.internal'],
    ['0.0.0.0', '::'],
    ['::', '10.0.0.1'],
    ['::', '2001:db8::1'],
    ['gatehouse.internal', 'Gatehouse.Internal'],
  ])('have %s and %s', (one, other) => {
    expect(haveCommonAddress(one, other)).toBe(true);
    expect(haveCommonAddress(other, one)).toBe(true);
  });

  it.each([
    ['127.0.0.1', '127.0.0.2'],
    ['127.0.0.1', '::1'],
    ['0.0.0.0', '::1'],
    ['10.0.0.1', 'localhost'],
    ['gatehouse.internal', 'metrics.internal'],
  ])('have not %s and %s', (one, other) => {
    expect(haveCommonAddress(one, other)).toBe(false);
    expect(haveCommonAddress(other, one)).toBe(false);
  });
});
