/** The view of somebody who is signed in: made of a template when they come, gone without a trace when they leave. */
import type { ListedSession } from '@gatehouse/browser';
import { FIRST_PARTY_CLIENT_ID, type ErrorCode } from '@gatehouse/protocol';

import type { Service } from './ask.js';
import { copyOf, find, write, writeTime } from './dom.js';
import { explain, findRefusal, type Failure } from './failures.js';
import type { Claims, Rules } from './life.js';
import { mountPassword } from './password.js';
import { mountPasswordAgain, RECENT_SECONDS } from './password-again.js';
import { mountSessions } from './sessions.js';
import { confirm, say } from './speak.js';
import { describeDevice } from './device.js';
import { mountToken } from './token.js';
import { counted, dayAndMinute } from './words.js';

export interface SignedInView {
  claims: () => Claims;
  show: (claims: Claims) => void;
  tick: () => void;
  /** Asks for the list of sessions again. */
  reload: () => Promise<void>;
  /** Asks for the password in a dialog; resolves with whether it was given. */
  askForPassword: (maxAgeSeconds: number) => Promise<boolean>;
}

export function mountSignedIn(
  place: HTMLElement,
  { service, rules, first }: { service: Service; rules: Rules; first: Claims },
): SignedInView {
  const { client, ask, now } = service;
  // A root of its own: answers that come when it is off the page already write to nowhere.
  const root = document.createElement('div');
  root.append(copyOf('signed-in-template'));
  place.replaceChildren(root);
  let claims = first;
  /** Users of a backend have no password here: nobody can ask them for it, and they cannot change it. */
  const hasPassword = first.client_id === FIRST_PARTY_CLIENT_ID;
  /** When the session was opened, as far as it is known: `auth_time` is later once the password was given again. */
  let opened = first.auth_time;
  const token = mountToken(root, rules);
  const sessions = mountSessions(root, (session) => void endOne(session));
  const refused = (failure: Failure | null, where: string) => write(root, where, failure?.words ?? '');

  async function reload(): Promise<void> {
    const response = await ask('sessions');
    const refusal = await findRefusal(response.clone());
    // Who is not signed in any more is told so elsewhere.
    refused(refusal?.code === ('invalid_token' satisfies ErrorCode) ? null : refusal, '#sessions-error');
    if (refusal !== null) return;
    const { sessions: list } = (await response.json()) as { sessions: ListedSession[] };
    sessions.show(list, now());
    const here = list.find(({ current }) => current);
    if (here?.id !== claims.sid) return;
    opened = Date.parse(here.created_at) / 1000;
    show(claims);
  }

  /** Does what people asked for and says how it went. */
  async function attempt(work: () => Promise<Failure | null>, where: string): Promise<void> {
    try {
      refused(await work(), where);
    } catch (error) {
      refused(explain(error), where);
    }
  }

  /** The same for what ends other sessions: a user who has a password has to have given it lately. */
  async function attemptIfRecent(work: () => Promise<Failure | null>, where: string): Promise<void> {
    await attempt(async () => {
      if (hasPassword) {
        const refusal = await findRefusal(await ask(`session?max_age=${RECENT_SECONDS}`));
        if (refusal !== null) return refusal;
      }
      // What one user asked for is not done in the name of another, who may have signed in meanwhile.
      return root.isConnected ? await work() : null;
    }, where);
  }

  async function endOne(session: ListedSession): Promise<void> {
    const device = describeDevice(session.user_agent);
    const isMeant = await confirm({
      title: 'End this session?',
      words: `${device}, from ${session.ip ?? 'an unknown place'}, is signed out at once.`,
      yes: 'End session',
    });
    if (!isMeant) return;
    await attemptIfRecent(async () => {
      const refusal = await findRefusal(await ask(`sessions/${session.id}`, { method: 'DELETE' }));
      if (refusal !== null) return refusal;
      say(`${device} is signed out.`);
      await reload();
      find(root, '#sessions-title', HTMLElement).focus();
      return null;
    }, '#sessions-error');
  }

  async function endOthers(): Promise<void> {
    const isMeant = await confirm({
      title: 'End all other sessions?',
      words: 'Every other device and program of yours is signed out at once. This session stays.',
      yes: 'End all others',
    });
    if (!isMeant) return;
    await attemptIfRecent(async () => {
      const ended = await client.logoutAll({ exceptCurrent: true });
      say(`${counted(ended, 'other session')} ended.`);
      await reload();
      find(root, '#sessions-title', HTMLElement).focus();
      return null;
    }, '#sessions-error');
  }

  async function leave(everywhere: boolean): Promise<void> {
    const isMeant =
      !everywhere ||
      (await confirm({
        title: 'Sign out everywhere?',
        words: 'Every device and program of yours is signed out at once, this one included.',
        yes: 'Sign out everywhere',
      }));
    if (!isMeant) return;
    if (everywhere) await attemptIfRecent(async () => (await client.logoutAll(), null), '#leave-error');
    else await attempt(async () => (await client.logout(), null), '#leave-error');
  }

  const onClick = (selector: string, act: () => Promise<void>) =>
    find(root, selector, HTMLButtonElement).addEventListener('click', () => void act());
  onClick('#end-others', endOthers);
  onClick('#sign-out', () => leave(false));
  onClick('#sign-out-everywhere', () => leave(true));
  if (hasPassword)
    mountPassword(root, service, first.username, () => {
      say('The password is changed. Every other session has ended.');
      void attempt(async () => (await reload(), null), '#sessions-error');
    });
  else find(root, '#password-part', HTMLElement).remove();

  const askForPassword = mountPasswordAgain(root, service, first.username);

  const tick = () => token.tick(now());
  const show = (latest: Claims) => {
    if (latest.sid !== claims.sid) opened = latest.auth_time;
    claims = latest;
    writeWho(root, latest, opened);
    token.show(latest, opened, now());
  };
  show(first);
  return { claims: () => claims, show, tick, reload, askForPassword };
}

function writeWho(root: HTMLElement, { username, scope, sid }: Claims, opened: number): void {
  write(root, '#name', username);
  writeTime(find(root, '#since', HTMLTimeElement), opened, dayAndMinute(opened));
  write(root, '#scope', scope ?? 'none');
  write(root, '#session-id', sid);
}
