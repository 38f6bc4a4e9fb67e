// One question of a client of a chaos run, and an answer that a test chooses: what was sent, what was recorded, and what was found wrong.
import { createRecorder, type Operation } from '../chaos/history.js';
import type { Ask } from '../chaos/http.js';
import { createQuestions, type Questions, type Reply } from '../chaos/questions.js';
import { RULES } from './checker-story.js';

export const CALLER = { number: 1, address: '10.0.0.1' };
export const REPLICA = { name: 'one', port: 1 };

const HEADERS = { 'cache-control': 'no-store', 'content-type': 'application/json' };

export type Question = (ask: Questions) => Promise<Reply>;

/** @param body of the answer, as JSON; an empty text is no body */
export async function hear(question: Question, body: unknown, status = 200) {
  const recorder = createRecorder({ seed: 1, rules: RULES });
  const sent: Ask[] = [];
  const ask = createQuestions({
    http: {
      send: (one: Ask) => {
        sent.push(one);
        const answer = { isBroken: false, start: 1, end: 2, headers: HEADERS, status };
        return Promise.resolve({ ...answer, body: body === '' ? '' : JSON.stringify(body) });
      },
      counts: { late: 0, silent: 0 },
      close: () => undefined,
    },
    recorder,
    client: { id: 'chaos', secret: 'secret' },
    administrators: [
      { id: 'first', secret: 's' },
      { id: 'second', secret: 's' },
    ],
    backends: [
      { id: 'shop', secret: 's' },
      { id: 'forum', secret: 's' },
    ],
  });
  await question(ask);
  const [recorded] = recorder.history().operations as [Operation];
  return { recorded, sent: sent[0] as Ask, told: ask.manners().told.join() };
}
