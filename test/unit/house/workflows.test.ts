// What runs at a push and at a tag: only what is named by its digest, with no more rights than it needs, and published from a tag alone.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { judge } from '../../../scripts/audit.js';
import { findMismatches, readVersions } from '../../../scripts/release.js';

const ROOT = new URL('../../../', import.meta.url);
const FOLDER = new URL('.github/workflows/', ROOT);
const workflows = readdirSync(FOLDER).map(
  (file) => [file, readFileSync(new URL(file, FOLDER), 'utf8')] as const,
);

describe.each(workflows)('%s', (_file, text) => {
  it('names each action by its digest, with the version beside it, and each digest for one version', () => {
    const used = [...text.matchAll(/\buses: (.*)$/gm)].map(([, what = '']) => what);
    expect(used.length).toBeGreaterThan(0);
    for (const what of used) expect(what).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it('may read the repository, and nothing else unless a job says so', () => {
    expect(text).toMatch(/^permissions:\n {2}contents: read\n(?:\n|$)/m);
  });

  it('keeps no credentials in the checkout', () => {
    const checkouts = text.split('uses: actions/checkout@').slice(1);
    for (const checkout of checkouts)
      expect(checkout).toMatch(/^.*\n\s+with:\n\s+persist-credentials: false\n/);
  });
});

it('the same action has the same digest everywhere', () => {
  const used = workflows.flatMap(([, text]) => [...text.matchAll(/\buses: ([\w/-]+)@(.*)$/gm)]);
  const digests = new Map(used.map(([, name, digest]) => [name, digest]));
  for (const [, name, digest] of used) expect([name, digest]).toEqual([name, digests.get(name)]);
});

it('images of Node and PostgreSQL are named by their digests, with the tag beside it, and everywhere the same', () => {
  const files = ['Dockerfile', 'docker-compose.yml', 'deploy/compose/compose.yml'];
  const texts = files.map((file) => readFileSync(new URL(file, ROOT), 'utf8'));
  const named = texts.flatMap((text) => [
    ...text.matchAll(/(?:image: |ARG NODE_IMAGE=)((?:node|postgres):.*)$/gm),
  ]);
  for (const [, image] of named) expect(image).toMatch(/^(?:node:24-slim|postgres:18)@sha256:[0-9a-f]{64}$/);
  expect(new Set(named.map(([, image]) => image)).size).toBe(2);
});

it('rights to publish are those of the release alone, which a tag alone starts', () => {
  const publishing = workflows.filter(([, text]) => /: write\b|npm publish|push: true/.test(text));
  expect(publishing.map(([file]) => file)).toEqual(['release.yml']);
  const release = publishing[0]?.[1] ?? '';
  expect(/^on:\n([^]*?)\n\n/m.exec(release)?.[1]).toBe("  push:\n    tags: ['v[0-9]+.[0-9]+.[0-9]+*']");
});

describe('a release', () => {
  it('publishes each package that is no private one, with its provenance, and keeps what it needs from npm', () => {
    const published = readdirSync(new URL('packages/', ROOT)).filter((folder) => {
      const text = readFileSync(new URL(`packages/${folder}/package.json`, ROOT), 'utf8');
      return (JSON.parse(text) as { private?: boolean }).private !== true;
    });
    expect(published).toEqual(['backend', 'browser', 'resource-server']);
    const release = readFileSync(new URL('release.yml', FOLDER), 'utf8');
    expect(release).toContain(`npm pack ${published.map((folder) => `./packages/${folder}`).join(' ')}\n`);
    expect(release).toContain(published.map((folder) => `--workspace @gatehouse/${folder}`).join(' '));
    expect(release).toContain(`for name in ${published.join(' ')}; do npm sbom `);
    expect(release).toMatch(/npm publish .* --provenance /);
    expect(release).toMatch(/^ +sbom: true\n +provenance: mode=max$/m);
    for (const folder of published)
      expect(readdirSync(new URL(`packages/${folder}`, ROOT)), folder).toEqual(
        expect.arrayContaining(['LICENSE', 'README.md']),
      );
  });

  const versions = { 'package.json': '0.1.0', 'packages/browser/package.json': '0.1.0' };
  const changelog = '# Changelog\n\n## [0.1.0] - 2026-12-01\n';

  it('is of one version everywhere', () => {
    expect(findMismatches('v0.1.0', versions, changelog)).toEqual([]);
    const [version, ...others] = new Set(Object.values(readVersions(ROOT)));
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(others).toEqual([]);
  });

  it.each([
    ['0.1.0', versions, changelog, /is no version/],
    ['v0.1', versions, changelog, /is no version/],
    ['v0.1.1', versions, changelog, /package\.json has version 0\.1\.0/],
    [
      'v0.1.0',
      { ...versions, 'packages/browser/package.json': '0.0.9' },
      changelog,
      /browser.* has version 0\.0\.9/,
    ],
    ['v0.1.0', versions, '## [Unreleased]\n', /CHANGELOG\.md has no line/],
    ['v0.1.0', versions, '## [0.1.0]\n', /CHANGELOG\.md has no line/],
    ['v0.1.0', versions, '## [0x1x0] - 2026-12-01\n', /CHANGELOG\.md has no line/],
  ])('does not take %s otherwise', (tag, of, log, problem) => {
    expect(findMismatches(tag, of, log).join('\n')).toMatch(problem);
  });
});

describe('the audit', () => {
  const url = 'https://github.com/advisories/GHSA-xxxx';
  const report = (severity: string) => ({
    vulnerabilities: {
      deep: { name: 'deep', severity, via: [{ url, title: 'Bad', severity }] },
      above: { name: 'above', severity, via: ['deep'] },
    },
  });
  const exception = { advisory: url, because: 'We never call it.', until: '2026-12-31' };

  it.each(['high', 'critical'])('fails for a %s advisory, which it names once', (severity) => {
    const { status, lines } = judge(report(severity), [], '2026-11-30');
    expect(status).toBe('bad');
    expect(lines).toEqual([`deep: ${severity}: Bad ${url}`]);
  });

  it.each(['info', 'low', 'moderate'])('passes a %s one', (severity) => {
    expect(judge(report(severity), [], '2026-11-30')).toEqual({ status: 'good', lines: [] });
  });

  it('passes an exception until its day has passed, and no longer than something has that advisory', () => {
    expect(judge(report('high'), [exception], '2026-12-31').status).toBe('good');
    expect(judge(report('high'), [exception], '2027-01-01').status).toBe('bad');
    expect(judge({ vulnerabilities: {} }, [exception], '2026-11-30').status).toBe('bad');
  });

  it('knows nothing, and does not fail, where npm cannot be asked', () => {
    const message = '405 Method Not Allowed';
    expect(judge({ message }, [exception], '2026-11-30')).toEqual({ status: 'unknown', lines: [message] });
    expect(judge({}, [], '2026-11-30').status).toBe('unknown');
  });

  it('has exceptions that say why and until when', () => {
    const text = readFileSync(new URL('.ci/audit-exceptions.json', ROOT), 'utf8');
    for (const each of JSON.parse(text) as (typeof exception)[]) {
      expect(each.advisory).toMatch(/^https:\/\/github\.com\/advisories\/GHSA-/);
      expect(each.because).toMatch(/^\S.{20,}\.$/);
      expect(each.until).toMatch(/^\d{4}-\d\d-\d\d$/);
    }
  });
});
