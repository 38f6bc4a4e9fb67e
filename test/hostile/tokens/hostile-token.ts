// What a corpus consists of, and the few verbs that all its families are written with.
import type { Kind, Stage, Subject } from './stage.js';
import { isLong } from '../../support/hostile.js';
import { PLACES, type Place } from './places.js';

export interface HostileToken {
  name: string;
  token: string;
  /** Where it is not hostile, with what the family says on why. */
  except?: readonly Place[];
}

/** A name for a way to spoil a token, and the JSON text of what is spoiled. */
export type Spoiled = readonly [how: string, text: string | Uint8Array];

/** One subject of each kind; all of them in the long form. For guards that do not know which key has signed. */
export function someSubjects({ subjects }: Stage): Subject[] {
  if (isLong) return subjects;
  return subjects.filter(({ kind, key }) => key.algorithm === (kind === 'access' ? 'EdDSA' : 'ES256'));
}

/** One subject of each key; all of them in the long form. For what depends on the key, and hardly on the kind. */
export function subjectsByKey({ subjects }: Stage): Subject[] {
  if (isLong) return subjects;
  return subjects.filter(({ kind, key }) => kind === (key.algorithm === 'ES256' ? 'refresh' : 'access'));
}

/** The places that take this kind. */
export function placesFor(kind: Kind): Place[] {
  return (Object.keys(PLACES) as Place[]).filter((place) => [kind, null].includes(PLACES[place].takes));
}

/** An object as JSON with one member set to a text that need not be JSON. */
export function withMember(object: object, name: string, json: string): string {
  const members = Object.entries(object).map(([each, value]): [string, string] => [
    each,
    JSON.stringify(value),
  ]);
  const at = members.findIndex(([each]) => each === name);
  return write(at === -1 ? [...members, [name, json]] : members.with(at, [name, json]));
}

export function withoutMember(object: object, name: string): string {
  return JSON.stringify(Object.fromEntries(Object.entries(object).filter(([each]) => each !== name)));
}

/** An object as JSON with a member twice: before, or after, its own. */
export function withTwin(object: object, name: string, json: string, isFirst: boolean): string {
  const members = Object.entries(object).map(([each, value]): [string, string] => [
    each,
    JSON.stringify(value),
  ]);
  return write(isFirst ? [[name, json], ...members] : [...members, [name, json]]);
}

function write(members: [string, string][]): string {
  return `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;
}
