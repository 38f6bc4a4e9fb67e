// @ts-check
// PostgreSQL's protocol as far as a fault wants to know it: where each message ends, and what statement it is about.

/** @typedef {'up' | 'down'} Direction `up`: from the service to PostgreSQL */

/**
 * @typedef {object} Message
 * @property {string} type the byte that begins it; `startup` for what comes before any type, `answer` for the byte that answers it
 * @property {Buffer} bytes the whole of it
 */

/**
 * @typedef {object} Statement
 * @property {string} name as it was prepared; of others the verb and the table, or the first word
 * @property {boolean} isWrite
 */

const HEADER_BYTES = 5;
const CANCEL_REQUEST = 80_877_102;
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/**
 * What both directions of one connection know of each other: whose turn it is before messages have types, and which
 * statement is under way.
 */
export function createConversation() {
  /** @type {Map<string, Statement>} */
  const prepared = new Map();
  let isStarted = false;
  let awaitsByte = false;
  /** @type {Statement | null} */
  let current = null;

  /** @param {Buffer} bytes */
  function takeStartup(bytes) {
    const code = bytes.readInt32BE(4);
    awaitsByte = code === SSL_REQUEST || code === GSS_REQUEST;
    isStarted = !awaitsByte && code !== CANCEL_REQUEST;
  }

  /**
   * @param {string} type
   * @param {Buffer} bytes
   */
  function takeFrontend(type, bytes) {
    const [first, second] = [() => textAt(bytes, HEADER_BYTES), () => secondText(bytes)];
    if (type === 'P') prepared.set(first(), (current = describe(first(), second())));
    // The first text of a Bind is the portal's.
    else if (type === 'B') current = prepared.get(second()) ?? null;
    else if (type === 'Q') current = describe('', first());
  }

  return {
    /** The statement that the messages are about, from its first one to ReadyForQuery, which is told of too. */
    statement: () => current,
    /**
     * @param {Message} message that came from the service
     */
    noteUp: ({ type, bytes }) => (type === 'startup' ? takeStartup(bytes) : takeFrontend(type, bytes)),
    /** @param {Message} message that was passed on to the service */
    noteDown: ({ type }) => {
      if (type === 'answer') awaitsByte = false;
      if (type === 'Z') current = null;
    },
    /** @param {Direction} direction */
    isUntyped: (direction) => (direction === 'up' ? !isStarted : awaitsByte),
  };
}

/** @typedef {ReturnType<typeof createConversation>} Conversation */

/**
 * Cuts the bytes of one direction into messages, however they come in pieces.
 *
 * @param {Direction} direction
 * @param {Conversation} conversation
 * @returns {(chunk: Buffer) => Message[]} the messages that the chunk completes
 */
export function createSplitter(direction, conversation) {
  /** @type {Buffer[]} */
  let pieces = [];
  let held = 0;
  /** How much it takes to know or have the next message. */
  let needed = 1;

  /** @param {Buffer} bytes that begin with a message */
  function measure(bytes) {
    const isUntyped = conversation.isUntyped(direction);
    if (isUntyped && direction === 'down') return { type: 'answer', length: 1 };
    if (bytes.length < HEADER_BYTES) return { type: '', length: HEADER_BYTES };
    if (isUntyped) return { type: 'startup', length: bytes.readInt32BE(0) };
    return { type: String.fromCharCode(bytes[0] ?? 0), length: 1 + bytes.readInt32BE(1) };
  }

  return (chunk) => {
    pieces.push(chunk);
    held += chunk.length;
    if (held < needed) return [];
    let bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces, held);
    /** @type {Message[]} */
    const messages = [];
    while (bytes.length > 0) {
      const { type, length } = measure(bytes);
      needed = length;
      if (bytes.length < length) break;
      const message = { type, bytes: bytes.subarray(0, length) };
      if (direction === 'up') conversation.noteUp(message);
      messages.push(message);
      bytes = bytes.subarray(length);
      needed = 1;
    }
    pieces = bytes.length > 0 ? [bytes] : [];
    held = bytes.length;
    return messages;
  };
}

/**
 * @param {string} name
 * @param {string} text
 * @returns {Statement}
 */
function describe(name, text) {
  // A row lock reads `FOR UPDATE`, which changes nothing.
  const write = /(?<!FOR )\b(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)/i.exec(text);
  const inWords = write === null ? (/\w+/.exec(text)?.[0] ?? '') : `${write[1]} ${write[2]}`;
  return { name: name === '' ? inWords : name, isWrite: write !== null };
}

/**
 * @param {Buffer} bytes
 * @param {number} start
 */
function textAt(bytes, start) {
  return bytes.toString('utf8', start, bytes.indexOf(0, start));
}

/** @param {Buffer} bytes */
function secondText(bytes) {
  return textAt(bytes, bytes.indexOf(0, HEADER_BYTES) + 1);
}
