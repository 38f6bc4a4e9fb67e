/** SQL as text: static fragments that several statements share, and the numbering of a statement's parameters. */

/**
 * A static piece of SQL, made by {@link sql}. Its type admits no text from outside: a fragment becomes part of a statement's
 * text, a value never does.
 */
export class Fragment {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get text(): string {
    return this.#text;
  }
}

/** Writes a fragment, as a tagged template. It may hold other fragments, and numbers of our own. */
export function sql(text: TemplateStringsArray, ...parts: (Fragment | number)[]): Fragment {
  const written = parts.map((part) => (part instanceof Fragment ? part.text : String(part)));
  return new Fragment(text.reduce((all, piece, place) => all + (written[place - 1] ?? '') + piece));
}

/** A piece of SQL with values of its own: one stands between each two of its fragments, which are constants. */
export class Clause {
  readonly fragments: readonly Fragment[];
  readonly values: readonly unknown[];

  constructor(fragments: readonly Fragment[], values: readonly unknown[]) {
    this.fragments = fragments;
    this.values = values;
  }
}

/** What is the same each time one statement is asked. */
export interface Statement {
  /** With `$1`, `$2`, … where values stand. */
  text: string;
  /** By place in the template: a fragment, or those of a clause; null where a value stands. */
  fragments: readonly Constant[];
}

type Constant = Fragment | readonly Fragment[] | null;

/** Splices in the fragments of a tagged template and numbers its values. Done once for each template. */
export function readStatement(template: TemplateStringsArray, values: readonly unknown[]): Statement {
  const fragments = values.map(constantIn);
  let parameters = 0;
  const next = () => `$${(parameters += 1)}`;
  const written = fragments.map((constant) => {
    if (constant === null) return next();
    if (constant instanceof Fragment) return constant.text;
    return constant.map(({ text }, place) => (place === 0 ? text : next() + text)).join('');
  });
  return {
    text: template.reduce((all, piece, place) => all + (written[place - 1] ?? '') + piece),
    fragments,
  };
}

/**
 * The values that are sent beside the text.
 *
 * @throws {Error} when a fragment is another one than at the first time: the text that was built then would be wrong
 */
export function parametersOf({ fragments }: Statement, values: unknown[]): unknown[] {
  return values.flatMap((value, place) => {
    const constant = constantIn(value);
    if (constant !== fragments[place]) throw new Error('a fragment of a statement must be a constant');
    if (value instanceof Clause) return value.values;
    return constant === null ? [value] : [];
  });
}

function constantIn(value: unknown): Constant {
  if (value instanceof Clause) return value.fragments;
  return value instanceof Fragment ? value : null;
}
