/** What went wrong, in sentences for people. */
import { GatehouseError } from '@gatehouse/browser';
import type { ErrorCode } from '@gatehouse/protocol';

export interface Failure {
  code: string;
  words: string;
  /** More about it, a sentence each. */
  details: string[];
  /** How long to wait before another try, where the service says so. */
  retryAfterSeconds: number | null;
}

const WORDS: Record<string, string> = {
  invalid_credentials: 'The user name or the password is wrong.',
  temporarily_unavailable: 'Gatehouse cannot answer right now. Try again in a moment.',
  cookies_refused: 'Your browser kept no cookie: this page needs https, or localhost.',
  invalid_token: 'You are not signed in any more.',
  insufficient_user_authentication: 'Nothing was ended: that needs your password.',
  too_many_requests: 'Too many attempts.',
  too_many_sessions: 'You are signed in as often as is allowed. Sign out elsewhere, and try again.',
} satisfies Partial<Record<ErrorCode | 'cookies_refused', string>>;

/** What a call threw; a mistake of ours is thrown on. */
export function explain(error: unknown): Failure {
  // So `fetch` says that there was no answer, or none in time.
  if (error instanceof TypeError || error instanceof DOMException) return unreachable();
  if (!(error instanceof GatehouseError)) throw error;
  const { code, message, errors = [], retryAfterSeconds = null } = error;
  return describe(code, message, errors, retryAfterSeconds);
}

/** What a refusing answer says; null for a success. */
export async function findRefusal(response: Response): Promise<Failure | null> {
  if (response.ok) return null;
  const { error = 'unexpected_answer', detail = '', errors = [] } = await readProblem(response);
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return describe(error, detail, errors, Number.isFinite(seconds) ? seconds : null);
}

function unreachable(): Failure {
  const words = navigator.onLine
    ? 'Gatehouse cannot be reached. Try again in a moment.'
    : 'You are offline. Connect, then try again.';
  return { code: 'unreachable', words, details: [], retryAfterSeconds: null };
}

function describe(code: string, detail: string, errors: Issue[], retryAfterSeconds: number | null): Failure {
  if (code === 'unreachable') return unreachable();
  return {
    code,
    words: WORDS[code] ?? (detail === '' ? 'Something went wrong. Try again in a moment.' : detail),
    details: errors.map(sentenceOf),
    retryAfterSeconds,
  };
}

interface Issue {
  path: string;
  message: string;
}

const NAMES: Record<string, string> = {
  'body/username': 'The user name',
  'body/password': 'The password',
  'body/current_password': 'The current password',
  'body/code': 'The code',
  'body/new_password': 'The new password',
};

/** Messages of the service are the ends of sentences that begin with what they are about. */
function sentenceOf({ path, message }: Issue): string {
  return `${NAMES[path] ?? path} ${message.replace(/^the (?:new )?password /, '')}`.replace(/\.?$/, '.');
}

interface Problem {
  error?: string;
  detail?: string;
  errors?: Issue[];
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    return Object(await response.json()) as Problem;
  } catch {
    return {};
  }
}
