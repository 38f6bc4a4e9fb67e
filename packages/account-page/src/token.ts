/** "This session": the token in use, what happens to it when, and each renewal as it happens. */
import { find, write, writeTime } from './dom.js';
import { lifeOf, phaseAt, successorOf, type Claims, type Life, type Phase, type Rules } from './life.js';
import { createPicture, type Lane } from './picture.js';
import { clockTime, counted, dayAndMinute, length, moment } from './words.js';

/** As many as fit beside the picture; the ones before are over anyway. */
const MOST_RENEWALS = 5;

export interface TokenView {
  /** Takes up what the service said of the token at `now`, and of the session, which was `opened` then; seconds since 1970. */
  show: (claims: Claims, opened: number, now: number) => void;
  /** Moves everything that moves by itself. */
  tick: (now: number) => void;
}

export function mountToken(root: ParentNode, rules: Rules): TokenView {
  const picture = createPicture(find(root, '#plot', HTMLElement));
  const renewals = find(root, '#renewals', HTMLOListElement);
  let current: Life | null = null;
  let previous: Life | null = null;
  let opened = 0;
  let phase: Phase | null = null;

  const tick = (now: number) => {
    if (current === null) return;
    picture.move(now);
    writeState(root, current, now, rules);
    writeSpan(root, opened, current.sessionEndsAt, now);
    if (phaseAt(current, now, rules) === phase) return;
    phase = phaseAt(current, now, rules);
    markPhase(root, phase);
  };

  return {
    show: (claims, openedAt, now) => {
      const life = lifeOf(claims, rules);
      opened = openedAt;
      if (current === null || !isSame(life, current)) {
        const isNews = current !== null;
        if (current !== null) renewals.prepend(describeRenewal(life, current, now));
        while (renewals.children.length > MOST_RENEWALS) renewals.lastElementChild?.remove();
        find(root, '#no-renewals', HTMLElement).hidden = isNews;
        [previous, current] = [current, life];
        picture.draw(lanesOf(previous, current, rules), { isNews });
        writeMarks(root, current, now);
      }
      tick(now);
    },
    tick,
  };
}

function isSame(one: Life, other: Life): boolean {
  return one.lineage === other.lineage && one.generation === other.generation;
}

function lanesOf(previous: Life | null, current: Life, rules: Rules): Lane[] {
  const next = successorOf(current, rules);
  const lanes: Lane[] = [{ life: current, is: 'current', label: `${nameOf(current)}, in use` }];
  if (previous !== null) lanes.unshift({ life: previous, is: 'past', label: nameOf(previous) });
  if (next !== null) lanes.push({ life: next, is: 'next', label: `${nameOf(next)}, to come` });
  return lanes;
}

/** The first of its kind is token 1. */
function nameOf({ generation }: Life): string {
  return `token ${generation + 1}`;
}

function writeState(root: ParentNode, life: Life, now: number, rules: Rules): void {
  const [state, more] = stateOf(life, now, rules);
  write(root, '#state', state);
  write(root, '#state-more', more);
}

function stateOf(life: Life, now: number, rules: Rules): [state: string, more: string] {
  const left = length(life.expiresAt - now);
  switch (phaseAt(life, now, rules)) {
    case 'fresh':
      return [`Good for ${left}`, `Renewed by itself from ${clockTime(life.windowAt)} on.`];
    case 'renewing':
      return [`Good for ${left}`, 'Due: the next answer brings a new one.'];
    case 'last':
      return [
        `Good for ${left}`,
        life.expiresAt >= life.sessionEndsAt
          ? 'The last one: then the session ends.'
          : 'Not renewed any more: then your browser fetches a new one.',
      ];
    case 'grace':
      return ['Expired', `For another ${length(life.graceEndsAt - now)} it can still be renewed.`];
    case 'over':
      return ['Expired', 'Your browser fetches a new one.'];
  }
}

function writeMarks(root: ParentNode, life: Life, now: number): void {
  const marks: [name: string, at: number][] = [
    ['issued', life.issuedAt],
    ['window', life.windowAt],
    ['expires', life.expiresAt],
    ['grace', life.graceEndsAt],
    ['session', life.sessionEndsAt],
  ];
  for (const [name, at] of marks) {
    const mark = find(root, `[data-mark="${name}"]`, HTMLElement);
    writeTime(find(mark, 'time', HTMLTimeElement), at, moment(at, now), dayAndMinute(at));
  }
  find(root, '[data-mark="grace"]', HTMLElement).hidden = life.graceEndsAt === life.expiresAt;
}

/** Which mark the token has passed last. */
const MARK_OF: Record<Phase, string> = {
  fresh: 'issued',
  renewing: 'window',
  last: 'issued',
  grace: 'expires',
  over: 'grace',
};

function markPhase(root: ParentNode, phase: Phase): void {
  for (const mark of root.querySelectorAll<HTMLElement>('[data-mark]')) {
    if (mark.dataset['mark'] === MARK_OF[phase]) mark.setAttribute('aria-current', 'step');
    else mark.removeAttribute('aria-current');
  }
}

function writeSpan(root: ParentNode, opened: number, ends: number, now: number): void {
  const share = Math.min(1, Math.max(0, (now - opened) / (ends - opened)));
  find(root, '#span-done', HTMLElement).style.width = `max(0.5rem, ${share * 100}%)`;
  write(
    root,
    '#span-words',
    `The session as a whole: ${length(ends - now)} left, however often it is renewed.`,
  );
}

function describeRenewal(life: Life, before: Life, now: number): HTMLLIElement {
  const item = document.createElement('li');
  const at = document.createElement('time');
  writeTime(at, now, clockTime(now));
  const until = `good until ${moment(life.expiresAt, now)}`;
  const missed = life.generation - before.generation - 1;
  const what =
    life.lineage === before.lineage
      ? `Renewed as ${nameOf(life)}${missed > 0 ? ` (${counted(missed, 'token')} in between)` : ''}, ${until}`
      : `Refreshed: a new token, ${until}`;
  item.append(at, ` ${what}`);
  return item;
}
