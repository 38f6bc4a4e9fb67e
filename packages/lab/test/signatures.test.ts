// The signatures of tokens in a chaos run: held against the keys that the service publishes, as a resource server would.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { createSignatures, type PublishedKey } from '../chaos/signatures.js';
import { tellStory } from './checker-story.js';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

const story = tellStory();

function makeKey(kid: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, published: { ...publicKey.export({ format: 'jwk' }), kid } satisfies PublishedKey };
}

function signedBy(kid: string, key: KeyObject, { alg = 'EdDSA', change = '' } = {}) {
  const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = segment({ sid: 'one', jti: 'one.0' });
  const text = `${segment({ alg, typ: 'at+jwt', kid })}.${payload}`;
  const signature = sign(null, Buffer.from(text + change), key).toString('base64url');
  return { ...story.logIn(100).access, text: `${text}.${signature}` };
}

it('counts those that hold, and those that do not', async () => {
  const { privateKey, published } = makeKey('a');
  const signatures = createSignatures(() => Promise.resolve([published]));
  signatures.note(signedBy('a', privateKey));
  signatures.note(signedBy('a', privateKey, { change: 'x' }));
  signatures.note(signedBy('a', makeKey('a').privateKey));
  signatures.note(signedBy('a', privateKey, { alg: 'none' }));
  expect(await signatures.settle()).toEqual({ verified: 1, forged: 3, orphans: [] });
});

it('asks again while nobody answers, or the key is too new', async () => {
  const { privateKey, published } = makeKey('new');
  const answers = [null, [], [makeKey('old').published], [published]];
  const signatures = createSignatures(() => Promise.resolve(answers.shift() ?? null));
  signatures.note(signedBy('new', privateKey));
  await vi.advanceTimersByTimeAsync(1000);
  expect(await signatures.settle()).toEqual({ verified: 1, forged: 0, orphans: [] });
});

it('names keys that are never published, once', async () => {
  const { privateKey } = makeKey('mine');
  const signatures = createSignatures(() => Promise.resolve([]));
  signatures.note(signedBy('mine', privateKey));
  signatures.note(signedBy('mine', privateKey));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await signatures.settle()).toEqual({ verified: 0, forged: 0, orphans: ['mine'] });
});
