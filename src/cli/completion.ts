/** `gatehouse completion`: our commands and options as a script for a shell, which asks us nothing while somebody types. */
import { Argument, type Command } from 'commander';

import { examples } from './output.js';
import type { Shell } from './shell.js';

/** What may follow a command: names of commands, or else options, each with its description. */
interface Place {
  /** What was typed so far, such as `users add`; empty at the beginning. */
  path: string;
  commands: Offer[];
  options: (Offer & { takesValue: boolean })[];
}

interface Offer {
  name: string;
  description: string;
}

const SHELLS = { bash: writeBash, zsh: writeZsh, fish: writeFish };

export function defineCompletion(command: Command, { print }: Shell): void {
  command
    .addArgument(new Argument('<shell>', 'the shell that you type in').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      '\nIt completes what is typed after `gatehouse`, and holds the commands of this version.\n' +
        examples(
          'source <(gatehouse completion bash)',
          'source <(gatehouse completion zsh)',
          'gatehouse completion fish | source',
        ),
    )
    .action((shell: keyof typeof SHELLS) => {
      const script = SHELLS[shell](listPlaces(command.parent ?? command, ''));
      print(script, script);
    });
}

function listPlaces(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const place = {
    path,
    commands: commands.map((each) => ({ name: each.name(), description: each.description() })),
    options: help
      .visibleOptions(command)
      .flatMap(({ long, description, required }) =>
        long == null ? [] : [{ name: long, description, takesValue: required }],
      ),
  };
  const below = command.commands.flatMap((each) => listPlaces(each, `${path} ${each.name()}`.trim()));
  return [place, ...below];
}

/** What stands before a word, without options: the place where it is typed. */
const FIND_PLACE = (words: string, first: number, end: string) => `  local place='' at
  for ((at = ${first}; at < ${end}; at++)); do
    case \${${words}[at]} in
      -*) ;;
      *) place+="\${place:+ }\${${words}[at]}" ;;
    esac
  done`;

/** The names at a place: of commands, and of options where one was begun or there are no commands. */
function writeBash(places: Place[]): string {
  const cases = places.map(({ path, commands, options }) => {
    const names = [...commands, ...options].map(({ name }) => name).join(' ');
    return `    ${patternOf(path, commands)}) offered='${names}' ;;`;
  });
  return `# gatehouse, for bash: source <(gatehouse completion bash)
_gatehouse() {
${FIND_PLACE('COMP_WORDS', 1, 'COMP_CWORD')}
  local offered=''
  case $place in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$offered" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _gatehouse gatehouse`;
}

function writeZsh(places: Place[]): string {
  const cases = places.map(({ path, commands, options }) => {
    const offered = [...commands, ...options].map(({ name, description }) =>
      quote(`${name}:${description.replaceAll(':', '\\:')}`),
    );
    return `    ${patternOf(path, commands)}) offered=(${offered.join(' ')}) ;;`;
  });
  return `#compdef gatehouse
# gatehouse, for zsh: source <(gatehouse completion zsh)
_gatehouse() {
${FIND_PLACE('words', 2, 'CURRENT')}
  local -a offered
  case $place in
${cases.join('\n')}
  esac
  _describe gatehouse offered
}
if [[ \${funcstack[1]} == _gatehouse ]]; then _gatehouse "$@"; else compdef _gatehouse gatehouse; fi`;
}

function writeFish(places: Place[]): string {
  const lines = places.flatMap(({ path, commands, options }) => {
    const words = path === '' ? [] : path.split(' ');
    const others = commands.map(({ name }) => name).join(' ');
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const unseen = commands.length === 0 ? [] : [`not __fish_seen_subcommand_from ${others}`];
    const here = quote([...seen, ...unseen].join('; and '));
    return [
      ...commands.map(
        ({ name, description }) => `complete -c gatehouse -f -n ${here} -a ${name} -d ${quote(description)}`,
      ),
      ...options.map(
        ({ name, description, takesValue }) =>
          `complete -c gatehouse -f ${takesValue ? '-r ' : ''}-n ${here} -l ${name.slice(2)} -d ${quote(description)}`,
      ),
    ];
  });
  return ['# gatehouse, for fish: gatehouse completion fish | source', ...lines].join('\n');
}

/** What follows the last command of a line, a name for instance, does not change where we are. */
function patternOf(path: string, commands: Offer[]): string {
  return commands.length > 0 ? `'${path}'` : `'${path}' | '${path} '*`;
}

/** In all three shells what stands between single quotes is text; bash and zsh have no other way to write a single one. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
