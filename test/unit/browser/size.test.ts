// What a page has to load: one small file that needs no other.
import { readFileSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';

const BUILT = new URL('../../../packages/browser/dist/', import.meta.url);
const MAX_BYTES = 4_600;

const scripts = readdirSync(BUILT).filter((file) => file.endsWith('.js'));

it('the module for browsers is one file of at most 4.6 kB, gzipped', () => {
  expect(scripts).toEqual(['gatehouse.js']);
  const text = readFileSync(new URL('gatehouse.js', BUILT));
  expect(text.toString()).not.toMatch(/\bimport\b|\brequire\b/);
  expect(gzipSync(text, { level: 9 }).length).toBeLessThanOrEqual(MAX_BYTES);
});

it('its types come with what they say about themselves', () => {
  const types = readFileSync(new URL('api.d.ts', BUILT), 'utf8');
  expect(types).toContain('Ends this session everywhere');
});
