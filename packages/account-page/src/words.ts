/** Times and lengths of time in words; the page speaks English, whatever the browser speaks. */

const LANGUAGE = 'en-GB';

const clockFormat = new Intl.DateTimeFormat(LANGUAGE, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const minuteFormat = new Intl.DateTimeFormat(LANGUAGE, { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat(LANGUAGE, { day: 'numeric', month: 'short', year: 'numeric' });
const dayAndMinuteFormat = new Intl.DateTimeFormat(LANGUAGE, {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});
const utcDayFormat = new Intl.DateTimeFormat(LANGUAGE, {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const inMs = (seconds: number) => new Date(seconds * 1000);

/** 22:48:03 */
export const clockTime = (seconds: number) => clockFormat.format(inMs(seconds));
/** 22:48 */
export const minuteTime = (seconds: number) => minuteFormat.format(inMs(seconds));
/** 28 Nov 2026 */
export const day = (seconds: number) => dayFormat.format(inMs(seconds));
/** 28 Nov 2026, 22:48 */
export const dayAndMinute = (seconds: number) => dayAndMinuteFormat.format(inMs(seconds));

/** As much as is needed to tell it from now: the time on the same day, the day when it is far off, both between. */
export function moment(seconds: number, now: number): string {
  if (day(seconds) === day(now)) return clockTime(seconds);
  return Math.abs(seconds - now) > 2 * DAY ? day(seconds) : dayAndMinute(seconds);
}

/** 0:42, 6:42, 3 h 12 min, 12 days: what is left, rounded up so that nothing is over before it is. */
export function length(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)}:${String(whole % MINUTE).padStart(2, '0')}`;
  if (whole < DAY) return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} min`;
  return counted(Math.floor(whole / DAY), 'day');
}

/** What the service tells of a session's last use: a day of UTC, which stands for the last 24 hours when it is today. */
export function lastUse(date: string, now: number): string {
  const isToday = date === inMs(now).toISOString().slice(0, 10);
  return isToday ? 'in the last 24 hours' : utcDayFormat.format(new Date(date));
}

/** 1 session, 3 sessions */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
