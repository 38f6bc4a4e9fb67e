// .env.example lists every setting with its default, and a line that says what it is.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { expect, it } from 'vitest';

import { readConfig } from '../../../src/config/config.js';
import { VARIABLES } from '../../../src/config/variables.js';

const example = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8');
const SETTING = /^#([A-Z_]+)=(.*)$/;

/** The file as it is after its settings were taken up: `#NAME=value` becomes `NAME=value`. */
const uncommented = example.replaceAll(new RegExp(SETTING, 'gm'), '$1=$2');

it('lists the variables that are read, each once, and no other', () => {
  const listed = example.split('\n').flatMap((line) => SETTING.exec(line)?.[1] ?? []);
  expect(listed.toSorted()).toEqual(VARIABLES.toSorted());
});

it('shows the defaults: with every line taken up the configuration is the same', () => {
  const environment = parseEnv(uncommented);
  expect(Object.keys(environment).sort()).toEqual(VARIABLES.toSorted());
  expect(readConfig(environment)).toEqual(readConfig({}));
});

it('shows a value for all that has a default of its own', () => {
  const withoutValue = ['AUTH_SECRET', 'AUTH_SECRET_FILE', 'AUTH_SECRET_PREVIOUS', 'CORS_ORIGINS'];
  const empty = Object.entries(parseEnv(uncommented)).filter(([, value]) => value === '');
  expect(empty.map(([name]) => name).sort()).toEqual(
    [
      ...withoutValue,
      'ADMIN_ADDRESS',
      'AUTH_SECRET_PREVIOUS_FILE',
      'DATABASE_PASSWORD_FILE',
      'DATABASE_URL',
      'METRICS_ADDRESS',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'SESSIONS_PER_USER',
      'TRUST_PROXY',
    ].sort(),
  );
});

it('changes nothing as it is', () => {
  expect(parseEnv(example)).toEqual({});
});

it('says in a line above each setting what it is', () => {
  const lines = example.trimEnd().split('\n');
  for (const [number, line] of lines.entries()) {
    if (SETTING.test(line)) expect(lines[number - 1], line).toMatch(/^# \S.+\.$/);
  }
});
