// The audits of the failover drill: what they call lost, what dead, and what they leave alone.
import { describe, expect, it } from 'vitest';

import { createAudit } from '../chaos/promotion/audit.js';
import { createLedger, type Kept } from '../chaos/promotion/ledger.js';
import type { Questions, Replica } from '../chaos/questions.js';

const replicas = ['one', 'two'].map((name, index) => ({ name, port: index + 1 })) satisfies Replica[];

const tokenOf = (jti: string) => ({ claims: { jti } }) as unknown as Kept['access'];

/** @param isActive what the service answers, after what a caller does meanwhile */
function openAudit(isActive: () => boolean) {
  const ledger = createLedger();
  const session: Kept = { sid: 's', access: tokenOf('a.0'), refresh: tokenOf('s.0'), isEnding: false };
  ledger.kept.add(session);
  const introspect = () => Promise.resolve({ outcome: 'ok', active: isActive() });
  const refresh = () => Promise.resolve({ outcome: 'refused' });
  const questions = { introspect, refresh } as unknown as Questions;
  return { ledger, session, audit: createAudit({ questions, replicas, ledger }) };
}

describe('an audit of what lives', () => {
  it('tells of a token that is dead, at each replica', async () => {
    const { audit, ledger } = openAudit(() => false);
    await audit.living();
    expect(audit.counts.dead).toBe(2);
    expect(ledger.wrong).toEqual([
      'a.0 is dead at one, though nothing ended it',
      'a.0 is dead at two, though nothing ended it',
    ]);
  });

  it.each<[string, (session: Kept, kept: Set<Kept>) => void]>([
    ['is being ended', (session) => (session.isEnding = true)],
    ['was dropped', (session, kept) => kept.delete(session)],
    ['was revoked, and has a successor already', (session) => (session.access = tokenOf('b.0'))],
  ])('says nothing of a token that %s meanwhile', async (_what, change) => {
    const { audit, ledger, session } = openAudit(() => {
      change(session, ledger.kept);
      return false;
    });
    await audit.living();
    expect(ledger.wrong).toEqual([]);
  });
});

describe('an audit of what was ended', () => {
  it('counts each replica that calls it active', async () => {
    const { audit, ledger, session } = openAudit(() => true);
    await audit.ended([{ access: session.access, refresh: null }]);
    expect(audit.counts.lost).toBe(2);
    expect(ledger.wrong).toHaveLength(2);
  });
});
