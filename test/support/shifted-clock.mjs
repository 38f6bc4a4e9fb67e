// Loaded with `--import`: this process believes that it is CLOCK_SHIFT_MS later than it is.
const RealDate = Date;
const shiftMs = Number(process.env.CLOCK_SHIFT_MS);
const now = () => RealDate.now() + shiftMs;

globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
});
