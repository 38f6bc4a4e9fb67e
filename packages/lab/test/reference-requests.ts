// What clients of a reference run ask, at chance: each request as something to do at its moment.
import type { Operation, Rules, Said, Token } from '../chaos/history.js';
import { FIRST_PARTY, labelOf, userIdOf } from '../chaos/subjects.js';
import { nameOf, type Order } from './reference-orders.js';
import type { HeldTokens } from './reference-tokens.js';
import { EPOCH_MS } from './checker-story.js';
import type { ReferenceEvents } from './reference-events.js';
import { createReferenceService, FIRST_USERS, type Mistake, type Subject } from './reference-service.js';

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

/** Numbers of clients that open sessions. */
const CLIENTS = 3;

/** Users that are asked about. */
const MOST_USERS = 4;

const ADMINISTRATOR = nameOf(0);

const NOT_FOUND: Answer = { outcome: 'refused', status: 404, error: 'not_found' };

/** Two clients that call their users alike. */
const BACKENDS = ['shop', 'forum'];
const EXTERNAL_IDS = ['1', '2'];

/** What a backend says first. */
const FIRST_SAID: Said[] = [
  { scope: null, ext: null, amr: null, acr: null, auth_time: null },
  { scope: 'read', ext: { tenant: 'a' }, amr: ['pwd'], acr: 'level-0', auth_time: EPOCH_MS / 1000 - 100 },
];

const actorOf = ({ claims }: Token) => `user:${userIdOf(claims)}`;

const isByLogin = ({ claims }: Token) => claims['client_id'] === FIRST_PARTY;

export const no = (error: string): Answer => ({ outcome: 'refused', status: 401, error });

/** @param secondsAt the database's clock at a moment of the run */
export function createRequests(
  random: () => number,
  rules: Rules,
  held: HeldTokens,
  secondsAt: (ms: number) => number,
  events: ReferenceEvents,
  mistake?: Mistake,
) {
  const service = createReferenceService(rules, events, mistake);
  /** Those that somebody knows of, deleted ones for a while among them. */
  const users = [...FIRST_USERS];
  let added = 0;
  let passwords = 0;
  let scopes = 0;
  let sayings = 0;
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
    if (kind === 'add-user') return addUser();
    if (kind === 'open' || kind === 'client-end-all') return askForSubject(kind, end);
    if (kind === 'change' || kind === 'client-end') return askByBackend(kind, end);
    if (kind === 'reauthenticate') return reauthenticate(start, end);
    const user = pickUser();
    if (kind === 'delete' || kind === 'export') return askAboutUser(kind, user);
    if (kind === 'disable' || kind === 'enable')
      return { about: whoIs(user), act: () => ifThere(user, () => service[kind](user)) };
    if (kind === 'password') {
      const password = random() < 0.2 ? 0 : (passwords += 1);
      return {
        about: { ...whoIs(user), password },
        act: () => ifThere(user, () => service.setPassword(user, password)),
      };
    }
    if (kind === 'own-password') return changeOwn(start, end);
    if (kind === 'scope') {
      if (scopes === 0 || random() < 0.8) scopes += 1;
      const scope = `version-${scopes}`;
      return {
        about: { ...whoIs(user), scope, actor: ADMINISTRATOR },
        act: () => ifThere(user, () => service.setScope(user, scope, ADMINISTRATOR)),
      };
    }
    if (kind === 'order') return order(start, end);
    if (kind === 'rows') return rows(start, end);
    if (kind === 'lift') return lift(start);
    const type = kind === 'refresh' ? 'refresh' : 'access';
    const token = held.pickToken(start, ['logout', 'revoke', 'introspect'].includes(kind) ? undefined : type);
    return token === undefined ? undefined : askWith(kind, token, end);
  }

  /** Now and then one that was deleted: users are forgotten slowly. */
  function pickUser(): string {
    return held.pick(users) ?? 'ann';
  }

  function whoIs(user: string): Answer {
    return { user, sub: service.whoIs(user).sub };
  }

  function ifThere(user: string, act: () => void): Answer {
    if (!service.isThere(user)) return NOT_FOUND;
    act();
    return {};
  }

  function addUser(): Question {
    added += 1;
    const user = `user-${added}`;
    const { sub, scope } = service.whoIs(user);
    return {
      about: { user, scope, actor: ADMINISTRATOR },
      act: (): Answer => {
        service.add(user, ADMINISTRATOR);
        users.push(user);
        if (users.length > MOST_USERS) users.shift();
        return { sub };
      },
    };
  }

  function askAboutUser(kind: 'delete' | 'export', user: string): Question {
    const about = { ...whoIs(user), actor: ADMINISTRATOR };
    if (kind === 'delete') return { about, act: () => (service.remove(user, ADMINISTRATOR), {}) };
    return {
      about,
      act: (): Answer => {
        const sids = service.exportOf(user);
        return sids === null ? NOT_FOUND : { sids };
      },
    };
  }

  function askForSubject(kind: 'open' | 'client-end-all', end: number): Question {
    const subject: Subject = [held.pick(BACKENDS) ?? '', held.pick(EXTERNAL_IDS) ?? ''];
    const [backend, sub] = subject;
    const about = { backend, actor: `client:${backend}`, user: labelOf(backend, sub), username: sub, sub };
    if (kind === 'client-end-all') return { about, act: () => (service.endAllFor(subject), {}) };
    const said = held.pick(FIRST_SAID) ?? {};
    const client = Math.floor(CLIENTS * random());
    return {
      about: { ...about, client, said, honest: random() < 0.5 },
      act: (at: number) => held.learnPair(service.openFor(subject, said, secondsAt(at), client), end),
    };
  }

  /** Mostly by the client whose session it is. */
  function askByBackend(kind: 'change' | 'client-end', end: number): Question | undefined {
    const sid = held.pickSid(end, ({ claims }) => BACKENDS.includes(String(claims['client_id'])));
    if (sid === undefined) return undefined;
    const owner = held.tokens.find((token) => token.sid === sid)?.claims['client_id'] as string;
    const backend = random() < 0.8 ? owner : BACKENDS.find((other) => other !== owner);
    if (backend === undefined) return undefined;
    const about = { backend, actor: `client:${backend}`, sid };
    if (kind === 'client-end')
      return { about, act: (at: number) => (service.endFor(backend, sid, secondsAt(at)) ? {} : NOT_FOUND) };
    if (sayings === 0 || random() < 0.8) sayings += 1;
    const said = saidAtChance(sayings, end);
    return {
      about: { ...about, said },
      act: (at: number) => (service.change(backend, sid, said, secondsAt(at)) ? {} : NOT_FOUND),
    };
  }

  function saidAtChance(version: number, end: number): Said {
    return [
      { scope: `version-${version}` },
      { ext: { tenant: 'a', version } },
      { scope: null, acr: `level-${version}` },
      { auth_time: Math.floor((EPOCH_MS + end) / 1000) - 5, amr: ['otp'], acr: `level-${version}` },
    ][version % 4] as Said;
  }

  /** Of a user who has logged in here, with the password of the moment of the request, or another one. */
  function reauthenticate(start: number, end: number): Question | undefined {
    const token = held.pickToken(start, 'access', isByLogin);
    if (token === undefined) return undefined;
    const user = String(token.claims['username']);
    const proved = random() < 0.8 ? service.passwordOf(user) : 0;
    return {
      about: { token: token.id, user, proved },
      act: (at: number): Answer => {
        const answer = service.reauthenticate(token, proved, secondsAt(at));
        return typeof answer === 'string'
          ? no(answer)
          : { access: held.learn(answer, 'at+jwt', end) as number };
      },
    };
  }

  /** By one of two administrators. */
  function order(start: number, end: number): Question | undefined {
    const target = orderAtChance(start);
    if (target === undefined) return undefined;
    const { about, wanted } = target;
    const isDryRun = random() < 0.1;
    const actor = random() < 0.7 ? 0 : 1;
    return {
      about: { ...about, by: wanted.by, isDryRun, actor: nameOf(actor) },
      act: (at: number): Answer => {
        if (isDryRun) return { counted: null };
        const { ending, counted, reached } = service.order(wanted, actor, secondsAt(at));
        held.learnEnding(ending, end);
        return { ending, counted, reached };
      },
    };
  }

  function orderAtChance(start: number): { about: Answer; wanted: Order } | undefined {
    const draw = random();
    const user = pickUser();
    if (draw < 0.02) return { about: {}, wanted: { by: 'now' } };
    if (draw < 0.05) return { about: { users: [user] }, wanted: { by: 'user_ids', users: [user] } };
    if (draw < 0.1) {
      const before = EPOCH_MS + start - 20_000 - 30_000 * random();
      return { about: { before }, wanted: { by: 'all', before } };
    }
    if (draw < 0.2) {
      const client = Math.floor(CLIENTS * random());
      const [since, until] = [EPOCH_MS + start - 10_000, EPOCH_MS + start + 5000 * random()];
      return {
        about: { network: `10.0.0.${client}`, since, until },
        wanted: { by: 'ip', client, since, until },
      };
    }
    const token = held.pickToken(start);
    if (token === undefined) return undefined;
    const { lineage } = token;
    if (draw < 0.4) return { about: { lineage }, wanted: { by: 'jti', lineage } };
    if (draw < 0.6) return { about: { token: token.id }, wanted: { by: 'token', lineage } };
    const other = held.pickToken(start)?.sid ?? token.sid;
    const sids = [...new Set([token.sid, other])];
    return { about: { sids }, wanted: { by: 'session_ids', sids } };
  }

  function rows(start: number, end: number): Question | undefined {
    const ending = held.pickEnding(start);
    if (ending === undefined) return undefined;
    const act = (): Answer => {
      const found = service.rowsOf(ending);
      for (const row of found) held.learnRow(row, end);
      return { rows: found };
    };
    return { about: { ending }, act };
  }

  function lift(start: number): Question | undefined {
    const row = held.pickRow(start);
    if (row === undefined) return undefined;
    const actor = random() < 0.7 ? 0 : 1;
    return {
      about: { row: row.id, rowKind: row.kind, target: row.target, actor: nameOf(actor) },
      act: (at: number): Answer => {
        const restored = service.lift(row.id, secondsAt(at), actor);
        return restored === null ? { outcome: 'refused', status: 409, error: 'not_liftable' } : { restored };
      },
    };
  }

  /** Proves the password that the user has at the moment of the request, or another one; or repeats what was asked before. */
  function changeOwn(start: number, end: number): Question | undefined {
    const change = changes.length > 0 && random() < 0.5 ? held.pick(changes.slice(-2)) : newChange(start);
    if (change === undefined) return undefined;
    const { token, user, proved, password } = change;
    const client = Math.floor(CLIENTS * random());
    return {
      about: {
        client,
        token: token.id,
        user,
        proved,
        password,
        honest: random() < 0.5,
        ...service.whoIs(user),
      },
      act: (at: number): Answer => {
        const answer = service.changePassword(token, [proved, password], secondsAt(at), client);
        return typeof answer === 'string' ? no(answer) : held.learnPair(answer, end);
      },
    };
  }

  function newChange(start: number): Change | undefined {
    const token = held.pickToken(start, 'access', isByLogin);
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
    // Drawn for every kind, as the draws after it are the same then; looked up where it is asked about.
    const drawn = random();
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
      case 'session': {
        if (random() < 0.6) return { about, act: (at: number) => judged(at, () => ({}), true) };
        const maxAge = Math.floor(40 * random());
        const isRecent = (at: number) => secondsAt(at) - Number(token.claims['auth_time']) <= maxAge;
        const tooOld = no('insufficient_user_authentication');
        return {
          about: { ...about, maxAge },
          act: (at: number) => judged(at, () => (isRecent(at) ? {} : tooOld), true),
        };
      }
      case 'list':
        return {
          about,
          act: (at: number) => judged(at, () => listed(token, service.list(token, secondsAt(at))), true),
        };
      case 'logout':
        return {
          about,
          act: (at: number) => {
            service.end(token.sid, secondsAt(at), { actor: actorOf(token), reason: 'logout' });
            return {};
          },
        };
      case 'revoke': {
        const actor = 'client:orders';
        return {
          about: { ...about, actor },
          act: (at: number) => (service.revoke(token, secondsAt(at), actor), {}),
        };
      }
      case 'logout-all':
        return {
          about: { ...about, exceptCurrent },
          act: (at: number) => judged(at, () => (service.endAll(token, exceptCurrent), {})),
        };
      default: {
        const sid = held.pickSid(end, () => true, drawn) ?? token.sid;
        return { about: { ...about, sid }, act: (at: number) => judged(at, () => endOther(token, sid, at)) };
      }
    }
  }

  function listed({ sid }: Token, sids: string[]): Answer {
    return { sids, current: sids.filter((one) => one === sid) };
  }

  function endOther(token: Token, sid: string, at: number): Answer {
    const target = held.tokens.find((other) => other.sid === sid);
    if (target === undefined || userIdOf(target.claims) !== userIdOf(token.claims))
      return { outcome: 'refused', status: 404, error: 'not_found' };
    service.end(sid, secondsAt(at), { actor: actorOf(token), reason: 'session_ended' });
    return {};
  }

  function refreshed(answer: ReturnType<typeof service.refresh>, end: number): Answer {
    return typeof answer === 'string' ? no(answer) : held.learnPair(answer, end);
  }

  /** Reads the password now; what it gives opens the session later, and whatever happens in between meets the epoch. */
  function logIn(): { about: Answer; open: (at: number, end: number) => Answer } {
    const user = pickUser();
    const password = random() < 0.8 ? service.passwordOf(user) : 0;
    const epoch = service.authenticate(user, password);
    const client = Math.floor(CLIENTS * random());
    return {
      about: { client, user, password, honest: random() < 0.5, ...service.whoIs(user) },
      open: (at, end) => {
        const opened = epoch === null ? null : service.open(user, epoch, secondsAt(at), client);
        if (opened !== null) return held.learnPair(opened, end);
        service.tellFailure();
        return no('invalid_credentials');
      },
    };
  }

  return { ask, logIn, beat: service.beat };
}
