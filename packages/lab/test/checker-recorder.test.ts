// The recorder of the chaos run: what it keeps of tokens, clocks and operations, and what it writes down.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { createRecorder } from '../chaos/history.js';
import { RULES } from './checker-story.js';

const SID = '00000000-0000-7000-8000-000000000001';

function textOf(typ: string, claims: object): string {
  const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${segment({ alg: 'EdDSA', typ })}.${segment(claims)}.secret-signature`;
}

const open = () => createRecorder({ seed: 7, rules: RULES });

it('reads a token, and knows it again', () => {
  const recorder = open();
  const text = textOf('rt+jwt', { sid: SID, jti: `${SID}.12` });
  const token = recorder.token(text);
  expect(token).toMatchObject({ id: 0, type: 'refresh', sid: SID, lineage: SID, generation: 12, text });
  expect(recorder.token(text)).toBe(token);
  expect(recorder.token(textOf('at+jwt', { sid: SID, jti: `${SID}.0` }))).toMatchObject({
    id: 1,
    type: 'access',
  });
  expect(recorder.history().tokens.map(({ id }) => id)).toEqual([0, 1]);
});

it('takes no other type of token', () => {
  expect(() => open().token(textOf('JWT', { sid: SID, jti: `${SID}.0` }))).toThrow('type that is not ours');
});

it('numbers operations as they are added, and gives them in the order of their ends', () => {
  const recorder = open();
  const common = {
    kind: 'prune',
    replica: 'one',
    client: 1,
    outcome: 'ok',
    status: null,
    error: null,
  } as const;
  recorder.add({ ...common, start: 5, end: 20 });
  expect(recorder.add({ ...common, start: 6, end: 10 }).id).toBe(1);
  expect(recorder.history().operations.map(({ id }) => id)).toEqual([1, 0]);
});

it('tells the database’s clock by its own, within the tolerance', () => {
  const recorder = open();
  const [before, wall, after] = [recorder.now(), Date.now(), recorder.now()];
  const { epochMs, toleranceMs } = recorder.history();
  expect(epochMs + before - toleranceMs).toBeLessThanOrEqual(wall + 1);
  expect(epochMs + after + toleranceMs).toBeGreaterThanOrEqual(wall);
  expect(toleranceMs).toBeLessThan(50);
});

it('keeps the beats that it was given last, by its own clock', () => {
  const recorder = open();
  const { epochMs } = recorder.history();
  const beat = { notedAt: epochMs + 9, at: epochMs + 7, since: epochMs - 1, until: epochMs - 8000 };
  recorder.setBeats([beat]);
  recorder.setBeats([{ ...beat, since: null, until: null }, beat]);
  expect(recorder.history().beats).toEqual([
    { notedAt: 9, at: 7, since: null, until: null },
    { notedAt: 9, at: 7, since: -1, until: -8000 },
  ]);
});

it('writes a line for the run, each token and each operation, and no token that could be used', async () => {
  const recorder = open();
  const token = recorder.token(textOf('at+jwt', { sid: SID, jti: `${SID}.0` }));
  recorder.add({
    kind: 'introspect',
    replica: 'one',
    client: 1,
    start: 1,
    end: 2,
    outcome: 'ok',
    status: 200,
    error: null,
    token: token.id,
  });
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-recorder-'));
  try {
    await recorder.writeTo(join(directory, 'history.ndjson'));
    const text = await readFile(join(directory, 'history.ndjson'), 'utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([
      expect.objectContaining({ seed: 7, rules: RULES, beats: [] }),
      expect.objectContaining({
        id: 0,
        type: 'access',
        fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      }),
      expect.objectContaining({ id: 0, kind: 'introspect', token: 0 }),
    ]);
    expect(text).not.toContain('secret-signature');
    expect(text).not.toContain(token.text.split('.')[1]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
