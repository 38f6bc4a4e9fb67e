/** `gatehouse help`, and how commands look in lists. */
import type { Command } from 'commander';

/** Commander's own takes one word, and most of our commands have two. */
export function defineHelp(program: Command, isNoun: (word: string) => boolean): void {
  program
    .command('help')
    .description('show the help of a command, as in `gatehouse help users add`')
    .argument('[command...]')
    .action((words: string[]) => {
      // `help add users` says what it wants as well.
      const inOrder = words.toSorted((a, b) => Number(isNoun(b)) - Number(isNoun(a)));
      let command = program;
      for (const word of inOrder) {
        const next = command.commands.find((candidate) => candidate.name() === word);
        if (next === undefined) program.error('error: unknown command');
        command = next;
      }
      command.help();
    });
}

/** A command in a list of commands. */
export function termOf(command: Command): string {
  const names = command.registeredArguments.map((argument) => {
    const name = argument.variadic ? `${argument.name()}...` : argument.name();
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...names].join(' ');
}
