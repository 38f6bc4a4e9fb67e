// A strict reader of WWW-Authenticate (RFC 9110 section 11.6.1): what a sender may not write is an error.

export interface Challenge {
  scheme: string;
  token68: string | null;
  parameters: Record<string, string>;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\t\\x20-\\x7e])*"';
const SCHEME = new RegExp(`^${TOKEN}`);
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/;
const PARAMETER = new RegExp(`^(${TOKEN})=(${TOKEN}|${QUOTED})(?=[ \\t]*(?:,|$))`);
const COMMA = /^[ \t]*,[ \t]*/;
/** After it comes another parameter, not another challenge. */
const COMMA_IN_CHALLENGE = new RegExp(`^[ \\t]*,[ \\t]*(?=${TOKEN}=)`);

/** @throws when the text is no list of challenges, or a challenge names a parameter twice */
export function parseChallenges(text: string): [Challenge, ...Challenge[]] {
  const input = { rest: text };
  const challenges: [Challenge, ...Challenge[]] = [takeChallenge(input)];
  while (take(input, COMMA) !== null) challenges.push(takeChallenge(input));
  if (input.rest !== '') throw new SyntaxError(`no challenge: ${text}`);
  return challenges;
}

function takeChallenge(input: { rest: string }): Challenge {
  const [scheme] = take(input, SCHEME) ?? [];
  if (scheme === undefined) throw new SyntaxError(`no scheme: ${input.rest}`);
  if (take(input, /^ +/) === null) return { scheme, token68: null, parameters: {} };
  const [token68] = take(input, TOKEN68) ?? [];
  if (token68 !== undefined) return { scheme, token68, parameters: {} };
  return { scheme, token68: null, parameters: takeParameters(input) };
}

function takeParameters(input: { rest: string }): Record<string, string> {
  const parameters = new Map<string, string>();
  do {
    const [, name, value] = take(input, PARAMETER) ?? [];
    if (name === undefined || value === undefined) throw new SyntaxError(`no parameter: ${input.rest}`);
    const key = name.toLowerCase();
    if (parameters.has(key)) throw new SyntaxError(`twice: ${key}`);
    parameters.set(key, value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value);
  } while (take(input, COMMA_IN_CHALLENGE) !== null);
  return Object.fromEntries(parameters);
}

function take(input: { rest: string }, pattern: RegExp): RegExpExecArray | null {
  const match = pattern.exec(input.rest);
  if (match !== null) input.rest = input.rest.slice(match[0].length);
  return match;
}
