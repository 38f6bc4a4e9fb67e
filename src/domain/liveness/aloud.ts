/** Judging aloud: what a caller is told of a token is also told to the metrics. */
import { told, type JudgementTold } from '../reports/told.js';
import type { Judgement, Judges, Successor } from './liveness.js';

type How = JudgementTold['how'];

/** The same judges. A client that asks has credentials; without any a token's holder asks. */
export function judgeAloud({ judge, judgeMany }: Judges): Judges {
  return {
    judge: (token, credentials) => {
      const judged = judge(token, credentials);
      const isClient = credentials !== undefined;
      // Without a token nothing is judged but the client.
      if (token !== null && told.judgement.isHeard())
        judged.then(
          (judgement) => tellJudgement(judgement, isClient ? 'single' : 'session', isClient),
          () => tellUnavailable(isClient ? 'single' : 'session'),
        );
      return judged;
    },
    judgeMany: (tokens, credentials) => {
      const judged = judgeMany(tokens, credentials);
      if (told.judgement.isHeard())
        judged.then(
          (judgements) => judgements.forEach((judgement) => tellJudgement(judgement, 'batch', true)),
          () => tokens.forEach(() => tellUnavailable('batch')),
        );
      return judged;
    },
  };
}

function tellJudgement({ live, token, client }: Judgement, how: How, isClient: boolean): void {
  // A client whose credentials are wrong is told nothing of the token.
  if (isClient && client === null) return;
  told.judgement.tell({ kind: token?.kind ?? 'none', result: live === null ? 'dead' : 'live', how });
}

function tellUnavailable(how: How): void {
  told.judgement.tell({ kind: 'none', result: 'unavailable', how });
}

/** The same successor; null, where none is due, is not worth telling. */
export function tellSuccessor(successor: Successor | null): Successor | null {
  if (successor !== null) told.reissue.tell(successor);
  return successor;
}
