/** "Where you are signed in": all sessions, the one that looks marked, each with a way to end it. */
import type { ListedSession } from '@gatehouse/browser';

import { describeDevice } from './device.js';
import { copyOf, find, write, writeTime } from './dom.js';
import { counted, dayAndMinute, day, lastUse } from './words.js';

/** So many are shown at once; whoever has more asks for them. */
const FIRST = 8;

export interface SessionsView {
  show: (sessions: ListedSession[], now: number) => void;
}

export function mountSessions(root: ParentNode, onEnd: (session: ListedSession) => void): SessionsView {
  const list = find(root, '#sessions', HTMLUListElement);
  const showAll = find(root, '#show-all', HTMLButtonElement);
  let shown: ListedSession[] = [];
  let isWhole = false;
  let now = 0;

  const draw = () => {
    const focused = list.querySelector('button:focus')?.closest('li')?.dataset['session'];
    const open = [...list.querySelectorAll('details[open]')].map(
      (details) => details.closest('li')?.dataset['session'],
    );
    const visible = isWhole ? shown : shown.slice(0, FIRST);
    list.replaceChildren(...visible.map((session) => createItem(session, now, onEnd)));
    for (const item of list.querySelectorAll('li')) {
      const { session } = item.dataset;
      find(item, 'details', HTMLDetailsElement).open = open.includes(session);
      if (session !== undefined && session === focused)
        find(item, 'button.end', HTMLButtonElement).focus({ preventScroll: true });
    }
    showAll.hidden = shown.length <= FIRST || isWhole;
    showAll.textContent = `Show all ${shown.length}`;
  };

  showAll.addEventListener('click', () => {
    isWhole = true;
    draw();
    // The button is gone: go on where it was.
    find(list, `li:nth-child(${FIRST + 1}) summary`, HTMLElement).focus();
  });

  return {
    show: (sessions, at) => {
      now = at;
      shown = [...sessions].sort((a, b) => Number(b.current) - Number(a.current));
      write(root, '#session-count', `${counted(sessions.length, 'session')}.`);
      find(root, '#end-others', HTMLButtonElement).disabled = sessions.every(({ current }) => current);
      draw();
    },
  };
}

function createItem(
  session: ListedSession,
  now: number,
  onEnd: (session: ListedSession) => void,
): DocumentFragment {
  const fragment = copyOf('session');
  const item = find(fragment, 'li', HTMLLIElement);
  const device = describeDevice(session.user_agent);
  const ip = session.ip ?? 'unknown';
  item.dataset['session'] = session.id;
  write(item, '.device-name', device);
  write(item, '.user-agent', session.user_agent ?? 'It sent no User-Agent.');
  write(item, '.id', session.id);
  write(item, '.ip', ip);
  const used = find(item, '.used', HTMLTimeElement);
  used.dateTime = session.last_used_on;
  used.textContent = lastUse(session.last_used_on, now);
  for (const [name, date] of [
    ['created', session.created_at],
    ['expires', session.expires_at],
  ] as const) {
    const seconds = Date.parse(date) / 1000;
    writeTime(find(item, `.${name}`, HTMLTimeElement), seconds, day(seconds), dayAndMinute(seconds));
  }
  const button = find(item, 'button.end', HTMLButtonElement);
  // This one is ended by signing out.
  if (session.current) button.remove();
  else find(item, '.badge', HTMLElement).remove();
  // Among sixty buttons of one name, people who hear them need to know which.
  button.setAttribute('aria-label', `End ${device} from ${ip}`);
  button.addEventListener('click', () => onEnd(session));
  return fragment;
}
