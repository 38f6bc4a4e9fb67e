/** The columns of a statement's result: declared once, beside the statement, and held against what PostgreSQL sends. */

/** By PostgreSQL's name of a type: what the driver makes of it. */
interface Types {
  bool: boolean;
  bytea: Uint8Array<ArrayBuffer>;
  float8: number;
  int4: number;
  text: string;
  'text[]': string[];
  timestamptz: Date;
  uuid: string;
}
type Type = keyof Types;

/** PostgreSQL's numbers of these types, which never change (its catalog `pg_type`). */
const OIDS: Record<Type, number> = {
  bool: 16,
  bytea: 17,
  float8: 701,
  int4: 23,
  text: 25,
  'text[]': 1009,
  timestamptz: 1184,
  uuid: 2950,
};

/** Types by column name; with a `?` where the value may be null. */
export type Columns = Readonly<Record<string, Type | `${Type}?`>>;

/** A row, as its columns say. */
export type RowOf<C extends Columns> = {
  -readonly [Name in keyof C]: C[Name] extends `${infer T extends Type}?`
    ? Types[T] | null
    : C[Name] extends Type
      ? Types[C[Name]]
      : never;
};

/** The same columns where an outer join may find no row for them. */
export function nullable<C extends Columns>(columns: C): Nullable<C> {
  const entries = Object.entries(columns).map(([name, type]) => [
    name,
    type.endsWith('?') ? type : `${type}?`,
  ]);
  return Object.fromEntries(entries) as Nullable<C>;
}

type Nullable<C extends Columns> = {
  readonly [Name in keyof C]: C[Name] extends `${Type}?`
    ? C[Name]
    : C[Name] extends Type
      ? `${C[Name]}?`
      : never;
};

/**
 * Compares what a statement brought with what it declares, names and types.
 *
 * @throws {Error} when they differ: the statement, the schema or the declaration is wrong, and no row of it is believed
 */
export function assertColumns(
  columns: Columns,
  fields: readonly { name: string; dataTypeID: number }[],
): void {
  const declared = Object.entries(columns).map(
    ([name, type]) => `${name} ${OIDS[type.replace('?', '') as Type]}`,
  );
  const brought = fields.map(({ name, dataTypeID }) => `${name} ${dataTypeID}`);
  if (declared.toSorted().join() === brought.toSorted().join()) return;
  throw new Error(
    `a statement declares the columns (${declared.join(', ')}) and PostgreSQL sends (${brought.join(', ')}): ` +
      'each is a name and the OID of a type; make them equal',
  );
}
