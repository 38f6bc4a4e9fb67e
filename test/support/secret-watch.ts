// Hears all that a run says, in its log and on its streams, and finds every piece of a secret in it.
import { Writable } from 'node:stream';
import pino, { type Logger } from 'pino';

import { loggerOptions } from '../../src/http/log/log.js';

/** What counts as a piece, unless a test says otherwise: shorter ones turn up by chance. */
export const PIECE_CHARACTERS = 12;

export interface Leak {
  secret: string;
  piece: string;
  /** Where it was heard, with what stands around it. */
  heard: string;
}

export interface SecretWatch {
  /** At `trace`, as the service logs, into memory. */
  logger: Logger;
  /** Standard output, standard error, or whatever else was said. */
  hear: (...texts: string[]) => void;
  /** Nothing of these may be heard; `name` is for the report. */
  keep: (name: string, ...secrets: (string | undefined)[]) => void;
  findLeaks: () => Leak[];
  figures: () => { lines: number; characters: number; secrets: number; pieces: number };
}

export function createSecretWatch(makeOptions = loggerOptions, length = PIECE_CHARACTERS): SecretWatch {
  const heard: string[] = [];
  const secrets = new Map<string, string>();
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      heard.push(chunk.toString());
      done();
    },
  });

  /** Every piece of every secret, with the name of one secret that it is of. */
  function piecesOfSecrets(): Map<string, string> {
    const pieces = new Map<string, string>();
    for (const [secret, name] of secrets)
      for (const piece of piecesOf(secret, length)) pieces.set(piece, name);
    return pieces;
  }

  return {
    logger: pino(makeOptions('trace'), destination),
    hear: (...texts) => void heard.push(...texts),
    keep: (name, ...kept) => {
      for (const secret of kept) if (secret !== undefined) secrets.set(secret, name);
    },
    findLeaks: () => {
      const pieces = piecesOfSecrets();
      return heard.flatMap((text) =>
        [text, ...unescape(text)].flatMap((form) => findIn(form, pieces, length)),
      );
    },
    figures: () => ({
      lines: heard.length,
      characters: heard.reduce((sum, text) => sum + text.length, 0),
      secrets: secrets.size,
      pieces: piecesOfSecrets().size,
    }),
  };
}

function piecesOf(text: string, length: number): string[] {
  const count = Math.max(0, text.length - length + 1);
  return Array.from({ length: count }, (_, at) => text.slice(at, at + length));
}

/** The first leak of each secret in one text: the pieces after it are the same story. */
function findIn(text: string, pieces: Map<string, string>, length: number): Leak[] {
  const leaks = new Map<string, Leak>();
  for (let at = 0; at + length <= text.length; at += 1) {
    const piece = text.slice(at, at + length);
    const secret = pieces.get(piece);
    if (secret !== undefined && !leaks.has(secret))
      leaks.set(secret, { secret, piece, heard: text.slice(Math.max(0, at - 100), at + 100) });
  }
  return [...leaks.values()];
}

/** What JSON and percent-encoding hide: the strings of a line as they are. */
function unescape(text: string): string[] {
  const strings: string[] = [];
  try {
    JSON.parse(text, (key, value: unknown) => {
      strings.push(key);
      if (typeof value === 'string') strings.push(value);
      return value;
    });
  } catch {
    // Not JSON: lines for people.
  }
  return [...strings, ...[text, ...strings].filter((one) => one.includes('%')).map(decodePercent)];
}

function decodePercent(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString(),
  );
}
