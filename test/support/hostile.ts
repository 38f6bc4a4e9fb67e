// How long the hostile campaigns run: short in `npm test`, long in `npm run test:hostile`.

export const isLong = process.env['HOSTILE'] === 'long';

/** How many times something is tried. */
export function runs(short: number, long: number): number {
  return isLong ? long : short;
}
