/** What was probably meant by a command line that is none of ours. Of what was typed nothing is said: it may be a password. */
import type { Command } from 'commander';

/** What other command lines call our verbs. */
const ALSO_CALLED: Record<string, string[]> = {
  add: ['create', 'make', 'new', 'register'],
  change: ['edit', 'modify', 'rename', 'set', 'update'],
  delete: ['erase', 'remove', 'rm'],
  disable: ['block', 'lock', 'suspend'],
  enable: ['unblock'],
  end: ['close', 'delete', 'kill', 'logout', 'remove', 'revoke', 'rm'],
  export: ['download', 'dump'],
  find: ['filter', 'list', 'query', 'search', 'show'],
  follow: ['stream', 'tail', 'watch'],
  import: ['load', 'migrate', 'restore', 'upload'],
  lift: ['restore', 'revert', 'undo'],
  list: ['all', 'get', 'ls', 'show'],
  password: ['passwd', 'pw'],
  prune: ['clean', 'purge'],
  reset: ['code', 'forgot', 'invite'],
  remove: ['delete', 'rm'],
  retire: ['delete', 'remove', 'revoke', 'rm'],
  rotate: ['add', 'create', 'new', 'renew'],
  show: ['describe', 'get', 'info', 'view'],
};

/** Adds a suggestion to an error, and the whole command to one that Commander makes. */
export function withSuggestion(
  error: string,
  typedOption: string | undefined,
  program: Command,
  argv: readonly string[],
): string {
  const words = argv.filter((word) => !word.startsWith('-'));
  const noun = program.commands.find((command) => words.includes(command.name()));
  // What has another name elsewhere is meant more likely than what is spelt alike.
  const known = error.includes('unknown command') ? findCommands(program, noun, words) : [];
  const own = /\n\(Did you mean (?:one of )?(.*)\?\)/.exec(error);
  if (own !== null && known.length > 0) return error.replace(own[0], ask(known));
  if (own !== null) {
    const isCommand = error.includes('unknown command');
    const names = own[1]?.split(', ') ?? [];
    const isVerb = isCommand && noun !== undefined && words[0] === noun.name();
    const withVerb = (name: string) => findVerb(program, name, words[1]) ?? name;
    return error.replace(own[0], ask(names.map(isVerb ? (name) => `${noun.name()} ${name}` : withVerb)));
  }
  if (typedOption !== undefined) return append(error, findOptions(typedOption, noun, words));
  return append(error, known);
}

/** `--password` stands for those that begin so. */
function findOptions(typed: string, noun: Command | undefined, words: string[]): string[] {
  const verb = noun?.commands.find((command) => words.includes(command.name()));
  const beginning = typed.replace(/=[^]*/, '');
  if (!/^--\w{3}/.test(beginning)) return [];
  return (verb ?? noun)?.options.flatMap(({ long }) => (long?.startsWith(beginning) ? [long] : [])) ?? [];
}

/** `users list`, where `user list` was typed. */
function findVerb(program: Command, name: string, typed: string | undefined): string | undefined {
  const verbs = program.commands.find((noun) => noun.name() === name)?.commands ?? [];
  return verbs.some((verb) => verb.name() === typed) ? `${name} ${typed}` : undefined;
}

/** `add users`, `users create`, or a verb alone. Where a noun has that very verb, no other of its verbs is offered. */
function findCommands(program: Command, noun: Command | undefined, words: string[]): string[] {
  const nouns = noun === undefined ? program.commands : [noun];
  const others = words.filter((word) => word !== noun?.name()).slice(0, 1);
  return nouns.flatMap((each) => {
    const verbs = each.commands.map((verb) => verb.name());
    const same = verbs.filter((verb) => others.includes(verb));
    const alike = verbs.filter((verb) => others.some((word) => ALSO_CALLED[verb]?.includes(word)));
    return (same.length > 0 ? same : alike).map((verb) => `${each.name()} ${verb}`);
  });
}

function append(error: string, names: string[]): string {
  return names.length === 0 ? error : error.replace(/\n*$/, `${ask(names)}\n`);
}

function ask(names: string[]): string {
  return `\n(Did you mean ${names.length > 1 ? 'one of ' : ''}${names.join(', ')}?)`;
}
