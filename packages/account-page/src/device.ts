/** A User-Agent in the words of a person: which program, on what. */

/** Programs by their token, those that also claim to be another one first. */
const PROGRAMS: [token: RegExp, name: string][] = [
  [/\b(?:Edg|EdgA|EdgiOS)\/(\d+)/, 'Edge'],
  [/\b(?:OPR|OPT)\/(\d+)/, 'Opera'],
  [/\bSamsungBrowser\/(\d+)/, 'Samsung Internet'],
  [/\bVivaldi\/(\d+)/, 'Vivaldi'],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/\b(?:Chrome|CriOS|HeadlessChrome|Chromium)\/(\d+)/, 'Chrome'],
  [/\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//, 'Safari'],
];

const SYSTEMS: [token: RegExp, name: string][] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac(?:intosh| OS X)\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
];

/** Programs without a page name themselves: `curl/8.5.0`, `okhttp/4.12.0`. */
const OWN_NAME = /^([\w .+-]{1,40}?)(?:\/v?(\d+(?:\.\d+)?)\S*)?(?:\s|\(|$)/;

export function describeDevice(userAgent: string | null): string {
  if (userAgent === null || userAgent.trim() === '') return 'Unknown device';
  const program = findProgram(userAgent);
  const system = SYSTEMS.find(([token]) => token.test(userAgent))?.[1];
  if (program !== undefined && system !== undefined) return `${program} on ${system}`;
  if (program !== undefined) return program;
  const [, name, version] = OWN_NAME.exec(userAgent.trim()) ?? [];
  if (name === undefined || name === 'Mozilla') return system ?? 'Unknown device';
  return version === undefined ? name : `${name} ${version}`;
}

function findProgram(userAgent: string): string | undefined {
  for (const [token, name] of PROGRAMS) {
    const version = token.exec(userAgent)?.[1];
    if (version !== undefined) return `${name} ${version}`;
  }
  return undefined;
}
