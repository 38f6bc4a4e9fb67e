/** The account page: finds out who is signed in, shows the view for it, and notices when that changes. */
import type { Change } from '@gatehouse/browser';
import type { ErrorCode } from '@gatehouse/protocol';
import { createService } from './ask.js';
import { find, write } from './dom.js';
import { explain } from './failures.js';
import { lifeOf, phaseAt, type Claims, type Rules } from './life.js';
import { mountSignIn } from './sign-in.js';
import { mountSignedIn, type SignedInView } from './signed-in.js';
import { tellTrouble, withdrawQuestions } from './speak.js';

/** How long something that happened elsewhere may go unnoticed, while somebody looks. */
const LOOK_SECONDS = 15;

/** What is about to change is looked for just after. */
const SOON_SECONDS = 0.7;

const { graceSeconds, reissueMax } = document.documentElement.dataset;
const rules: Rules = { graceSeconds: Number(graceSeconds), reissueMax: Number(reissueMax) };
const service = createService(
  new URL('.', location.href).href,
  (maxAgeSeconds) => view?.askForPassword(maxAgeSeconds) ?? Promise.resolve(false),
);
const signIn = mountSignIn(service);
const place = find(document, '#signed-in', HTMLElement);
const waiting = find(document, '#waiting', HTMLElement);
const retry = find(document, '#waiting-retry', HTMLButtonElement);
const signOutOnTop = find(document, '#sign-out-top', HTMLButtonElement);

let view: SignedInView | null = null;
let nextLook: ReturnType<typeof setTimeout> | undefined;
/** Each look counts only if no later one was begun, nor anything else has changed who is signed in. */
let turn = 0;

function showSignedIn(claims: Claims): void {
  waiting.hidden = true;
  signIn.hide();
  tellTrouble(null);
  // A new password gives the same user another session: the page stays as it is.
  if (view !== null && isSameUser(view.claims(), claims)) {
    view.show(claims);
    return;
  }
  const hasSignedInHere = document.activeElement?.closest('#signed-out') !== null;
  // What was asked of one user is not answered for another.
  withdrawQuestions();
  view = mountSignedIn(place, { service, rules, first: claims });
  signOutOnTop.hidden = false;
  if (hasSignedInHere) find(place, '#name', HTMLElement).focus();
}

/** A `sub` alone names nobody: two backends may call users of theirs the same. */
function isSameUser(one: Claims, other: Claims): boolean {
  return one.client_id === other.client_id && one.sub === other.sub;
}

function showSignedOut(why: string | null): void {
  clearTimeout(nextLook);
  forget();
  waiting.hidden = true;
  tellTrouble(null);
  signIn.show(why);
}

/** Takes everything about a person off the page. */
function forget(): void {
  view = null;
  withdrawQuestions();
  place.replaceChildren();
  signOutOnTop.hidden = true;
}

/** Without an answer nothing is known, so nothing changes but what is said. */
function showTrouble(error: unknown): void {
  const { words } = explain(error);
  if (view !== null) {
    tellTrouble(
      `${words.split('. ', 1)[0] ?? words}. This is what it looked like before; the page goes on trying.`,
    );
    return;
  }
  waiting.hidden = false;
  retry.hidden = false;
  write(waiting, '#waiting-words', words);
}

async function look(): Promise<void> {
  clearTimeout(nextLook);
  turn += 1;
  const mine = turn;
  try {
    const claims = await service.session();
    if (mine !== turn) return;
    if (claims === null) {
      showSignedOut(view === null ? null : wordsFor('ended'));
      return;
    }
    showSignedIn(claims);
    await view?.reload();
  } catch (error) {
    if (mine === turn) showTrouble(error);
  }
  if (mine === turn) plan();
}

/** Looks again when the token is due, or when something may have happened elsewhere; never for a page that nobody sees. */
function plan(): void {
  clearTimeout(nextLook);
  if (document.hidden) return;
  nextLook = setTimeout(() => void look(), secondsToNextLook() * 1000);
}

function secondsToNextLook(): number {
  if (view === null) return LOOK_SECONDS;
  const life = lifeOf(view.claims(), rules);
  const now = service.now();
  const phase = phaseAt(life, now, rules);
  // The answer just now has brought the successor, or the next one will.
  if (phase === 'renewing') return SOON_SECONDS;
  const due = phase === 'fresh' ? life.windowAt : life.expiresAt;
  return Math.min(LOOK_SECONDS, Math.max(0, due - now) + SOON_SECONDS);
}

function wordsFor(why: Change['why']): string {
  if (why === 'logout') return 'You are signed out.';
  if (why === 'other-tab') return 'You were signed out in another tab.';
  if (service.refusal() === ('refresh_reused' satisfies ErrorCode))
    return 'You were signed out: a token of this session turned up twice, and in case it was stolen the session was ended.';
  const ended = view?.claims().session_exp ?? Infinity;
  if (service.now() >= ended) return 'You were signed out: the session had reached its end.';
  return 'You were signed out: this session was ended elsewhere, by a new password, or by an administrator.';
}

service.client.onChange(({ type, why }) => {
  turn += 1;
  if (type === 'signed-out') showSignedOut(wordsFor(why));
  else void look();
});

signOutOnTop.addEventListener('click', () => find(place, '#sign-out', HTMLButtonElement).click());
retry.addEventListener('click', () => void look());
setInterval(() => view?.tick(), 1000);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(nextLook);
  else if (view !== null || !waiting.hidden) void look();
});
addEventListener('online', () => void look());
// The browser may keep this page as it is and show it again on "back": then it holds nothing, and asks anew.
addEventListener('pagehide', forget);
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) void look();
});

waiting.hidden = false;
void look();
