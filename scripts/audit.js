// @ts-check
// What runs in production and has a known vulnerability, judged by the policy of SECURITY.md: high and critical ones fail, unless
// `.ci/audit-exceptions.json` says why one cannot reach us, and until when that was looked at.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const GRAVE = ['high', 'critical'];

/**
 * @typedef {{ advisory: string, because: string, until: string }} Exception
 * @typedef {{ name: string, severity: string, via: (string | { url: string, title: string, severity: string })[] }} Vulnerability
 * @typedef {{ vulnerabilities?: Record<string, Vulnerability>, message?: string }} Report of `npm audit --json`
 * @typedef {{ status: 'good' | 'bad' | 'unknown', lines: string[] }} Verdict
 */

/**
 * @param {Report} report
 * @param {Exception[]} exceptions
 * @param {string} today as `2026-11-30`
 * @returns {Verdict}
 */
export function judge({ vulnerabilities, message }, exceptions, today) {
  // No network, or a registry that does not answer this: that says nothing of our packages.
  if (vulnerabilities === undefined) return { status: 'unknown', lines: [message ?? 'npm gave no report'] };
  const advisories = new Map(
    Object.values(vulnerabilities)
      .flatMap(({ name, via }) => via.map((each) => (typeof each === 'string' ? null : { name, ...each })))
      .flatMap((each) => (each !== null && GRAVE.includes(each.severity) ? [[each.url, each]] : [])),
  );
  const allowed = new Map(exceptions.map((exception) => [exception.advisory, exception]));
  const open = [...advisories.values()].filter(({ url }) => (allowed.get(url)?.until ?? '') < today);
  const idle = exceptions.filter(({ advisory }) => !advisories.has(advisory));
  return {
    status: open.length + idle.length === 0 ? 'good' : 'bad',
    lines: [
      ...open.map(({ name, severity, title, url }) => {
        const why = allowed.has(url) ? ' (its exception has run out: look again)' : '';
        return `${name}: ${severity}: ${title} ${url}${why}`;
      }),
      ...idle.map(({ advisory }) => `${advisory}: nothing has it any more: take its exception away`),
    ],
  };
}

/** @returns {Promise<Report>} */
function askNpm() {
  const parameters = ['audit', '--omit=dev', '--json', '--fetch-timeout=20000', '--fetch-retries=1'];
  return new Promise((resolve) => {
    // It ends with 1 where there is something to report.
    execFile(
      'npm',
      parameters,
      { maxBuffer: 1 << 26, shell: process.platform === 'win32' },
      (error, stdout) => {
        try {
          resolve(JSON.parse(stdout));
        } catch {
          resolve({ message: error?.message ?? 'npm gave no report' });
        }
      },
    );
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = new URL('../.ci/audit-exceptions.json', import.meta.url);
  const exceptions = /** @type {Exception[]} */ (JSON.parse(readFileSync(file, 'utf8')));
  const { status, lines } = judge(await askNpm(), exceptions, new Date().toISOString().slice(0, 10));
  for (const line of lines) console.error(line);
  console.error(`audit: ${status}`);
  // A release is not made without an answer.
  const mayBeUnknown = !process.argv.includes('--must-know');
  if (status === 'bad' || (status === 'unknown' && !mayBeUnknown)) process.exitCode = 1;
}
