// The failover drill, in its shortest form; the long one is a command of its own (docs/failover.md).
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { findPrograms } from '../chaos/promotion/binaries.js';

const COMMAND = fileURLToPath(new URL('../chaos/promotion.js', import.meta.url));
const DRILL_MS = 300_000;

interface Findings {
  promotions: number;
  endsAcknowledged: number;
  endsAsked: number;
  endsLost: number;
  mintedAfterEnd: number;
  livingAsked: number;
  dead: number;
  longestOutageMs: { reads: number; refreshes: number; ends: number };
  misdirected: { times: number; standbyConnections: number; unanswered: number };
  withoutStandby: { status: number; activeMeanwhile: boolean; activeAfterwards: boolean };
  violations: string[];
}

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

async function runCommand(...args: string[]): Promise<Outcome> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], { timeout: DRILL_MS }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const hasPostgres = (await findPrograms()) !== null;
const why = hasPostgres ? '' : ' (skipped: no PostgreSQL with pg_basebackup in /usr/lib/postgresql)';

describe.skipIf(!hasPostgres)(`over a promoted standby${why}`, () => {
  it(
    'loses no acknowledged end, ends nothing else, and answers nothing from a standby',
    async () => {
      const { status, stdout, stderr } = await runCommand('--promotions', '2', '--no-haproxy', '--json');
      expect(stdout, stderr).not.toBe('');
      const findings = JSON.parse(stdout) as Findings;
      expect(findings.violations, stderr).toEqual([]);
      expect(status).toBe(0);
      expect(findings).toMatchObject({ promotions: 2, endsLost: 0, mintedAfterEnd: 0, dead: 0 });
      // Nothing is shown by a drill in which nothing happened; a busy machine gets to some twenty.
      expect(findings.endsAcknowledged).toBeGreaterThan(10);
      expect(findings.endsAsked).toBeGreaterThan(findings.endsAcknowledged);
      expect(findings.livingAsked).toBeGreaterThan(20);
      expect(findings.misdirected.standbyConnections).toBeGreaterThan(0);
      expect(findings.misdirected.unanswered).toBeGreaterThan(0);
      expect(findings.withoutStandby).toMatchObject({ status: 503, activeMeanwhile: true });
    },
    DRILL_MS,
  );
});

describe('the command', () => {
  it('says what is missing where there is no PostgreSQL with pg_basebackup', async () => {
    const { status, stdout, stderr } = await runCommand('--pg-bin', '/nowhere');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('pg_basebackup and pg_rewind in /nowhere');
  });
});
