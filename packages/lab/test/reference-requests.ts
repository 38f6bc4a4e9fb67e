// What clients of a reference run ask, at chance: each request as something to do at its moment.
import type { Operation, Rules, Token } from '../chaos/history.js';
import type { HeldTokens } from './reference-tokens.js';
import { createReferenceService, type Mistake } from './reference-service.js';

export type Answer = Partial<Omit<Operation, 'id' | 'kind'>>;

interface Question {
  about: Answer;
  act: (at: number) => Answer;
}

interface Change {
  token: Token;
  user: string;
  proved: number;
  password: number;
}

/** Questions in one request about many tokens. */
const MOST_IN_BATCH = 4;

export const USERS = ['ann', 'bob'];

export const no = (error: string): Answer => ({ outcome: 'refused', status: 401, error });

/** @param secondsAt the database's clock at a moment of the run */
export function createRequests(
  random: () => number,
  rules: Rules,
  held: HeldTokens,
  secondsAt: (ms: number) => number,
  mistake?: Mistake,
) {
  const service = createReferenceService(rules, mistake);
  let passwords = 0;
  const changes: Change[] = [];

  /** What one request asks, its questions in their order; none where there is nobody to ask. */
  function ask(kind: string, start: number, end: number): Question[] {
    if (kind !== 'batch') return [askOne(kind, start, end)].filter((question) => question !== undefined);
    const batchSize = Math.ceil(MOST_IN_BATCH * random());
    return Array.from({ length: batchSize }, () => askOne('introspect', start, end)).flatMap((question) =>
      question === undefined ? [] : [{ ...question, about: { ...question.about, batchSize } }],
    );
  }

  /** What is asked at chance, as something to do at its moment; undefined where there is nobody to ask. */
  function askOne(kind: string, start: number, end: number): Question | undefined {
    if (kind === 'fault') return { about: { name: 'kill', target: 'one', isKill: true }, act: () => ({}) };
    if (kind === 'retire-key') return { about: {}, act: () => (service.retireKey(), {}) };
    const user = held.pick(USERS) ?? 'ann';
    if (kind === 'disable' || kind === 'enable')
      return { about: { user }, act: () => (service[kind](user), {}) };
    if (kind === 'password') {
      const password = random() < 0.2 ? 0 : (passwords += 1);
      return { about: { user, password }, act: () => (service.setPassword(user, password), {}) };
    }
    if (kind === 'own-password') return changeOwn(start, end);
    const type = kind === 'refresh' ? 'refresh' : 'access';
    const token = held.pickToken(start, ['logout', 'revoke', 'introspect'].includes(kind) ? undefined : type);
    return token === undefined ? undefined : askWith(kind, token, end);
  }

  /** Proves the password that the user has at the moment of the request, or another one; or repeats what was asked before. */
  function changeOwn(start: number, end: number): Question | undefined {
    const change = changes.length > 0 && random() < 0.5 ? held.pick(changes.slice(-2)) : newChange(start);
    if (change === undefined) return undefined;
    const { token, user, proved, password } = change;
    return {
      about: { token: token.id, user, proved, password, honest: random() < 0.5, ...service.whoIs(user) },
      act: (at: number): Answer => {
        const answer = service.changePassword(token, proved, password, secondsAt(at));
        return typeof answer === 'string' ? no(answer) : held.learnPair(answer, end);
      },
    };
  }

  function newChange(start: number): Change | undefined {
    const token = held.pickToken(start, 'access');
    if (token === undefined) return undefined;
    const user = String(token.claims['username']);
    const proved = random() < 0.8 ? service.passwordOf(user) : 0;
    const change = { token, user, proved, password: (passwords += 1) };
    changes.push(change);
    return change;
  }

  function askWith(kind: string, token: Token, end: number): Question {
    const judged = (at: number, yes: () => Answer, header = false): Answer => {
      const { active, reissued } = service.judge(token, secondsAt(at));
      const carried = header ? { reissued: held.learn(reissued, 'at+jwt', end) } : {};
      return { ...(active ? yes() : no('invalid_token')), ...carried };
    };
    const about: Answer = { token: token.id };
    const exceptCurrent = random() < 0.5;
    const sid = held.pickSid(end) ?? token.sid;
    switch (kind) {
      case 'refresh':
        return { about, act: (at: number) => refreshed(service.refresh(token, secondsAt(at)), end) };
      case 'introspect':
        return {
          about,
          act: (at: number) => {
            const { active, reissued } = service.judge(token, secondsAt(at));
            return { active, reissued: held.learn(reissued, 'at+jwt', end) };
          },
        };
      case 'session':
        return { about, act: (at: number) => judged(at, () => ({}), true) };
      case 'list':
        return {
          about,
          act: (at: number) => judged(at, () => listed(token, service.list(token, secondsAt(at))), true),
        };
      case 'logout':
        return { about, act: () => (service.end(token.sid), {}) };
      case 'revoke':
        return { about, act: () => (service.revoke(token), {}) };
      case 'logout-all':
        return {
          about: { ...about, exceptCurrent },
          act: (at: number) => judged(at, () => (service.endAll(token, exceptCurrent), {})),
        };
      default:
        return { about: { ...about, sid }, act: (at: number) => judged(at, () => endOther(token, sid)) };
    }
  }

  function listed({ sid }: Token, sids: string[]): Answer {
    return { sids, current: sids.filter((one) => one === sid) };
  }

  function endOther(token: Token, sid: string): Answer {
    const isOwn = held.tokens.find((other) => other.sid === sid)?.claims['sub'] === token.claims['sub'];
    if (!isOwn) return { outcome: 'refused', status: 404, error: 'not_found' };
    service.end(sid);
    return {};
  }

  function refreshed(answer: ReturnType<typeof service.refresh>, end: number): Answer {
    return typeof answer === 'string' ? no(answer) : held.learnPair(answer, end);
  }

  /** Reads the password now; what it gives opens the session later, and whatever happens in between meets the epoch. */
  function logIn(): { about: Answer; open: (at: number, end: number) => Answer } {
    const user = held.pick(USERS) ?? 'ann';
    const password = random() < 0.8 ? passwords : 0;
    const epoch = service.authenticate(user, password);
    return {
      about: { user, password, honest: random() < 0.5, ...service.whoIs(user) },
      open: (at, end) => {
        const opened = epoch === null ? null : service.open(user, epoch, secondsAt(at));
        return opened === null ? no('invalid_credentials') : held.learnPair(opened, end);
      },
    };
  }

  return { ask, logIn, beat: service.beat };
}
