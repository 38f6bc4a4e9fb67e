// @ts-check
// Loaded with `--import` before the service: its system clock is wrong by CLOCK_SHIFT_MS.
const SystemDate = Date;
const offsetMs = Number(process.env['CLOCK_SHIFT_MS'] ?? '0');

const wrongNow = () => SystemDate.now() + offsetMs;

/** @type {ProxyHandler<DateConstructor>} */
const handler = {
  apply: () => String(new SystemDate(wrongNow())),
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length > 0 ? given : [wrongNow()], newTarget),
  get: (target, name, receiver) => (name === 'now' ? wrongNow : Reflect.get(target, name, receiver)),
};

globalThis.Date = new Proxy(SystemDate, handler);
