// Preloaded with `node --import`: what the service does about once a minute it does about every two seconds. No clock is another.
const LONG_MS = 30_000;
const TIMES = 30;

const hurried = new Proxy(setTimeout, {
  apply: (target, self, [work, ms, ...rest]) =>
    Reflect.apply(target, self, [work, ms >= LONG_MS ? ms / TIMES : ms, ...rest]),
});
Object.assign(globalThis, { setTimeout: hurried });
