// The file .env: in every encoding and spelling that says one thing, and refused in every other.
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { ConfigError } from '../../../src/config/config.js';
import { parseDotEnv } from '../../../src/config/dotenv.js';

function parse(text: string): Record<string, string> {
  return parseDotEnv(Buffer.from(text));
}

function problemsOf(file: string | Uint8Array): string[] {
  try {
    parseDotEnv(Buffer.from(file));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const URL = 'postgresql://u:p%23@db.invalid/auth';
const TWO = `DATABASE_URL=${URL}\nPORT=4000\n`;
const BOTH = { DATABASE_URL: URL, PORT: '4000' };

function utf16(text: string, order: 'le' | 'be'): Buffer {
  const bytes = Buffer.from(text, 'utf16le');
  return order === 'le' ? bytes : bytes.swap16();
}

describe('reads', () => {
  it.each([
    ['UTF-8', Buffer.from(TWO)],
    ['UTF-8 with a byte-order mark', Buffer.from(`\uFEFF${TWO}`)],
    ['UTF-16LE with a byte-order mark', utf16(`\uFEFF${TWO}`, 'le')],
    ['UTF-16BE with a byte-order mark', utf16(`\uFEFF${TWO}`, 'be')],
  ])('%s', (_encoding, bytes) => {
    expect(parseDotEnv(bytes)).toEqual(BOTH);
  });

  it.each(['\n', '\r\n', '\r', '\n\r\n', '\r\r'])('lines that end with %j', (end) => {
    expect(parse(TWO.replaceAll('\n', end))).toEqual(BOTH);
    expect(parse(`${end}# comment${end}  # another${end}${TWO.trimEnd().replace('\n', end)}`)).toEqual(BOTH);
  });

  it.each([
    ['A=x', 'x'],
    ['  A = x  ', 'x'],
    ['export A=x', 'x'],
    ['export\tA=x', 'x'],
    ['A=', ''],
    ['A= # comment', ''],
    ['A=x # comment', 'x'],
    ['A=x\t#comment', 'x'],
    ['A="x"', 'x'],
    ['A="x" # comment', 'x'],
    ['A=\'it "is" #1\'', 'it "is" #1'],
    ['A=`it\'s "x"`', 'it\'s "x"'],
    ['A="x\\ny"', 'x\ny'],
    ["A='x\\ny'", 'x\\ny'],
    ['A="x\r\ny"', 'x\ny'],
    ['A=""', ''],
    ['A=x=y==', 'x=y=='],
    ['A=it\'s "x"', 'it\'s "x"'],
    ['A=\\', '\\'],
    ['A=ä\u00A0ö', 'ä\u00A0ö'],
  ])('%j', (line, value) => {
    for (const text of [line, `${line}\n`, `B=1\n${line}\nC=3`])
      expect(parse(text)).toMatchObject({ A: value });
    expect(parse(`B=1\n${line}\nC=3`)).toMatchObject({ B: '1', C: '3' });
  });

  it('what others set, as often as they like', () => {
    expect(parse('a.b-c=1\na.b-c=2\n\u200BPATH=x\n')).toEqual({ 'a.b-c': '2', '\u200BPATH': 'x' });
  });

  it('the example that comes with it, as it is and with every line taken up', () => {
    const example = readFileSync(new globalThis.URL('../../../.env.example', import.meta.url), 'utf8');
    expect(parse(example)).toEqual({});
    expect(parse(example.replaceAll(/^#(?=[A-Z_]+=)/gm, ''))).toMatchObject({
      PORT: '3000',
      AUTH_SECRET: '',
    });
  });

  it('nothing from nothing', () => {
    for (const text of ['', '\n', '\uFEFF', ' ', '#', '# x=y']) expect(parse(text)).toEqual({});
  });
});

describe('refuses, by the number of the line and without its text,', () => {
  it.each([
    ['a line without =', 'DATABASE_URL hunter2'],
    ['a line as in YAML', 'DATABASE_URL: hunter2'],
    ['a value without a name', '=hunter2'],
    ['a # within a value, which Node and Docker Compose read differently', 'AUTH_SECRET=hunter2#hunter2'],
    ['a # at the beginning of a value', 'AUTH_SECRET=#hunter2'],
    ['a # right behind a quote', 'AUTH_SECRET="hunter2"#hunter2'],
    ['a quote that is never closed', 'AUTH_SECRET="hunter2'],
    ['a quote that is closed too early', 'AUTH_SECRET="hunter2"hunter2'],
    ['a quote with a backslash, which Node does not know', 'AUTH_SECRET="hunter2\\"hunter2"'],
    ['a name in quotes', '"PORT"=hunter2'],
  ])('%s', (_what, line) => {
    const problems = problemsOf(`# first\nA="two\nlines"\n${line}\nB=1\n`);
    expect(problems).toEqual([
      '.env line 4 is neither NAME=value nor a comment: put a value with a # or a quote in it between quotes',
    ]);
  });

  it('a name of ours that is set twice, even to the same value', () => {
    expect(problemsOf('PORT=1\n\nexport PORT=1\nPORT="2"\n')).toEqual([
      '.env sets PORT twice, on the lines 1 and 3: keep one',
      '.env sets PORT twice, on the lines 3 and 4: keep one',
    ]);
  });

  it.each(['\u200B', '\u00A0', '\u00AD', '\u200E', '\u2060', '\uFEFF', '\v'])(
    'a name with %j in it',
    (character) => {
      for (const name of [
        `${character}DATABASE_URL`,
        `DATABASE${character}_URL`,
        `DATABASE_URL${character}`,
      ]) {
        expect(problemsOf(`A=1\n${name}=hunter2\n`)).toEqual([
          '.env line 2: DATABASE_URL is written with an invisible or a full-width character in its name: type the name anew',
        ]);
      }
    },
  );

  it('a second byte-order mark, as in a file that was put together from two', () => {
    expect(problemsOf(`\uFEFFA=1\n\uFEFFPORT=1\n`)).toEqual([
      expect.stringMatching(/^\.env line 2: PORT is/),
    ]);
    expect(problemsOf(`\uFEFF\uFEFFPORT=1\n`)).toEqual([expect.stringMatching(/^\.env line 1: PORT is/)]);
  });

  it.each([
    ['Latin-1', Buffer.concat([Buffer.from('A=1\nB=gr'), Buffer.of(0xfc), Buffer.from('n\nC=1')]), 2],
    ['UTF-16LE without a byte-order mark', utf16(TWO, 'le'), 1],
    ['UTF-16BE without a byte-order mark', utf16(TWO, 'be'), 1],
    ['UTF-32LE', Buffer.concat([Buffer.of(0xff, 0xfe, 0, 0, 0x41, 0, 0, 0)]), 1],
    ['half of UTF-16', utf16(`\uFEFF${TWO}`, 'le').subarray(0, -1), 1],
    ['a NUL', Buffer.from('A=1\nB=2\nC=\0\n'), 3],
    ['the first half of a character', Buffer.from('A=1\nB=ä').subarray(0, -1), 2],
  ])('%s', (_what, bytes, line) => {
    expect(problemsOf(bytes)).toEqual([`.env line ${line} is not UTF-8 text: save the file as UTF-8`]);
  });

  it('every such line at once', () => {
    expect(problemsOf('x\nPORT=1\nPORT=2\n\u200BDOCS=off\ny')).toHaveLength(4);
  });
});

it('takes back what was written in quotes, and never hangs or throws anything else', () => {
  const quoted = fc.string({ unit: 'binary' }).map((text) => text.replace(/['\r\0]|\p{Cs}/gu, ''));
  fc.assert(
    fc.property(fc.array(quoted, { maxLength: 5 }), fc.string({ unit: 'binary' }), (values, noise) => {
      const text = values.map((value, number) => `N${number}='${value}'`).join('\n');
      expect(Object.values(parse(text))).toEqual(values);
      problemsOf(noise);
      problemsOf(`A=${noise}\nB="${noise}`);
    }),
  );
});
