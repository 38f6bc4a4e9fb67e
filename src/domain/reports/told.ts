/**
 * What the domain tells of its work: to those in the same process who listen, which are metrics, and nobody by default; and to the
 * trail of the request that it works for, which becomes a line of the log. No name is told.
 */
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';

export const REFRESH_VERDICTS = ['rotated', 'replayed', 'superseded', 'reused', 'dead'] as const;

/** How a token was asked about: by a client alone, by a client among many, or by its own holder. */
export const ASKED = ['single', 'batch', 'session'] as const;

/** Where a request comes from. */
export interface Origin {
  ip: string;
  userAgent: string | null;
  /** A UUID. */
  requestId: string;
}

/** What events say of a request, and its line in the log by itself. */
interface Sent {
  origin?: Origin | undefined;
}

/**
 * Whom one request was about and what came of it, in ids and constant words. Nothing that a caller has typed stands here, and no
 * part of a token but these ids. docs/logs.md says what each member means.
 */
export interface Trail extends Sent {
  user?: string;
  /** The session that the request has opened, rotated or ended, or that it was asked with. */
  session?: string;
  /** A second session, where a request was about two. */
  otherSession?: string;
  verdict?: (typeof REFRESH_VERDICTS)[number];
  /** What had not ended before. */
  ended?: EndTold['ended'];
  /** Why it has ended. */
  reason?: string;
}

/** Puts a user and a session on a trail. Where another session is there already, the request is about both. */
export function noteSession(trail: Trail | undefined, user: string, session: string): void {
  if (trail === undefined) return;
  if (trail.session !== undefined && trail.session !== session) trail.otherSession = trail.session;
  trail.user = user;
  trail.session = session;
}

export interface EndTold {
  /** `user` stands for all sessions of a user, or all but the one that asked. */
  ended: 'token' | 'session' | 'user';
  reason: string;
  actor: string;
}

export interface JudgementTold {
  kind: 'access' | 'refresh' | 'none';
  result: 'live' | 'dead' | 'unavailable';
  how: (typeof ASKED)[number];
}

export interface StatementTold {
  questions: number;
  seconds: number;
  /** Those for whom it was asked, as `question` told of them. */
  askers: readonly object[];
  isAnswered: boolean;
}

/** Types of events that tell of no change. The statement of a change writes its own, or fails with it. */
export const LOSABLE_EVENTS = ['login', 'request.limited', 'request.refused'] as const;

export interface UnrecordedTold {
  type: (typeof LOSABLE_EVENTS)[number];
  events: number;
  cause: unknown;
}

/** Telling costs next to nothing where nobody listens (packages/lab/bench/hook.js). Listeners must not throw. */
export interface Topic<Message extends object> {
  isHeard: () => boolean;
  /** @param trail of the request that this is told of, where there is one */
  tell: (message: Message, trail?: Trail) => void;
  /** @returns stops listening */
  listen: (listener: (message: Message) => void) => () => void;
}

function createTopic<Message extends object>(
  name: string,
  toTrail: (message: Message) => Trail = () => ({}),
): Topic<Message> {
  const fullName = `gatehouse:${name}`;
  const topic = channel(fullName);
  return {
    isHeard: () => topic.hasSubscribers,
    tell: (message, trail) => {
      if (trail !== undefined) Object.assign(trail, toTrail(message));
      if (topic.hasSubscribers) topic.publish(message);
    },
    listen: (listener) => {
      const hear = (message: unknown) => listener(message as Message);
      subscribe(fullName, hear);
      return () => {
        unsubscribe(fullName, hear);
      };
    },
  };
}

/** Each topic with its message. */
export const told = {
  /** A refresh token has been answered. */
  refresh: createTopic<{ verdict: (typeof REFRESH_VERDICTS)[number] }>('refresh', ({ verdict }) => ({
    verdict,
  })),
  /** A caller has asked whether a token is live. */
  judgement: createTopic<JudgementTold>('judgement'),
  /** A successor was due, and was signed. */
  reissue: createTopic<{ expiresInSeconds: number }>('reissue'),
  /** Something has ended that had not ended before: a session, all sessions of a user, or an access token. */
  end: createTopic<EndTold>('end', ({ ended, reason }) => ({ ended, reason })),
  /** Somebody asks about tokens; the object comes again with the statement that it goes into. */
  question: createTopic<object>('question'),
  /** A statement about so many tokens is over; the time is from sending it to its answer, or to its failure. */
  statement: createTopic<StatementTold>('statement'),
  /** A look at where the address of the database leads; `clockOffsetSeconds` is our clock less the primary's. */
  look: createTopic<{ isUp: true; clockOffsetSeconds: number } | { isUp: false }>('look'),
  /** So many events of a type could not be written, and are lost. */
  unrecorded: createTopic<UnrecordedTold>('unrecorded'),
  /** A round of housekeeping is done. */
  tidied: createTopic<{ rows: number }>('tidied'),
};
