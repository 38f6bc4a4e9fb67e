// gatehouse completion: what a shell offers after a script of ours was read by it.
import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { gatehouse } from '../support/command.js';

/** What is offered for the last word of a line, without descriptions. */
const OFFERS: Record<string, (script: string, words: string[]) => string[]> = {
  bash: (script, words) =>
    run('bash', [
      '--norc',
      '-c',
      `${script}\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n_gatehouse; printf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      ...words,
    ]),
  // Without its line editor: what would be described is printed, what has been begun is looked for here.
  zsh: (script, words) =>
    run('zsh', [
      '-f',
      '-c',
      `compdef() { }; _describe() { print -l -- "\${(@P)2}" }\n${script}\nwords=("$@") CURRENT=$#\n_gatehouse`,
      'zsh',
      ...words,
    ])
      .map((offer) => offer.replace(/:[^]*/, ''))
      .filter((offer) => offer.startsWith(words.at(-1) ?? '')),
  fish: (script, words) =>
    run('fish', ['--no-config', '-c', `${script}\ncomplete -C '${words.join(' ')}'`])
      .map((offer) => offer.replace(/\t[^]*/, ''))
      // Asked for options, fish also offers what it knows of any command.
      .filter((offer) => !/^-\w$/.test(offer)),
};

function run(program: string, args: string[]): string[] {
  return execFileSync(program, args, { encoding: 'utf8' }).split('\n').filter(Boolean).sort();
}

async function scriptFor(shell: string): Promise<string> {
  const { status, stdout, stderr } = await gatehouse(['completion', shell]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

describe.each(Object.entries(OFFERS))('%s', (shell, offersOf) => {
  // In CI nothing is skipped.
  const isMissing =
    process.env['GATEHOUSE_REQUIRE_SHELLS'] !== '1' && spawnSync(shell, ['-c', 'true']).status !== 0;

  it.skipIf(isMissing).each([
    ['us', ['users']],
    ['mi', ['migrate']],
    ['users d', ['delete', 'disable']],
    ['users e', ['enable', 'export']],
    ['keys re', ['reencrypt', 'reset', 'retire']],
    ['users --json a', ['add']],
    ['users add --pass', ['--password-prompt', '--password-stdin']],
    ['users add ada --sc', ['--scope']],
    ['clients add shop --perm', ['--permission']],
    ['clients sec', ['secrets']],
    ['clients secrets a', ['add']],
    ['keys reset --end', ['--end-everything']],
    ['--vers', ['--version']],
    ['users frob', []],
  ])('offers for gatehouse %s', async (line, expected) => {
    expect(offersOf(await scriptFor(shell), ['gatehouse', ...line.split(' ')])).toEqual(expected);
  });

  it.skipIf(isMissing)('offers all nouns at the beginning, and all verbs of a noun', async () => {
    const script = await scriptFor(shell);
    expect(offersOf(script, ['gatehouse', ''])).toEqual(
      expect.arrayContaining([
        'clients',
        'completion',
        'database',
        'help',
        'keys',
        'migrate',
        'revocations',
        'sessions',
        'users',
      ]),
    );
    expect(offersOf(script, ['gatehouse', 'users', ''])).toEqual(
      expect.arrayContaining(['add', 'disable', 'enable', 'list', 'password']),
    );
  });
});

it.each([['tcsh'], []])('says which shells there are: gatehouse completion %s', async (...shell) => {
  const { status, stdout, stderr } = await gatehouse(['completion', ...shell]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(shell.length > 0 ? /bash, zsh, fish/ : /missing required argument/);
  expect(stderr).not.toContain('tcsh');
});

it('asks for no configuration', async () => {
  expect(await gatehouse(['completion', 'bash'], { environment: { PORT: 'none' } })).toMatchObject({
    status: 0,
  });
});
