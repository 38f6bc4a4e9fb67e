/** Lets the requests of one connection take turns, and knows which of them still wants an answer. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Nobody who reads the answers is further ahead of them; the parser would hand us thousands at once. */
const MAX_WAITING = 100;

/** What the kernel has taken may still be unread; up to this much may stay so for as long as any idle connection. */
const SMALL_BYTES = 64 * 1024;

interface Turn {
  response: ServerResponse | null;
  run: () => void;
}

interface Line {
  socket: Socket;
  turns: Turn[];
  /** The last request whose headers came; its body may be under way long after its answer. */
  latest: IncomingMessage | null;
  bytesBefore: number;
  /** When it was opened, or its last request answered. */
  idleSinceMs: number;
  /** How many sweeps have found an answer stuck since the line was empty: taking a little of each buys no more time. */
  sweeps: number;
}

export interface Turns {
  /** A connection has been opened. */
  open: (socket: Socket) => void;
  /** Queues a request. */
  take: (handler: RequestListener) => RequestListener;
  /** Refuses what comes after the requests so far, or their unfinished last one, without ever answering one twice. */
  refuseNext: (socket: Socket, refuse: () => void) => void;
  /** Cuts off who has not taken the answers asked for at once within so many calls of this. */
  sweep: (patience: number) => void;
  /**
   * Since when a connection has had no request whose headers are here and that waits for its answer; null while there is one. A
   * request of which only a piece has come counts for nothing: everybody can send one byte.
   */
  idleSince: (socket: Socket) => number | null;
}

/**
 * Node hands over all requests that it finds in a chunk of a pipeline, to be worked on side by side. That may be done to safe
 * methods alone (RFC 9112 section 9.3.2), and 64 KiB of them are thousands of files opened and answers kept: here each
 * waits until the one before has been answered.
 */
export function createTurns({ lingerMs }: { lingerMs: number }): Turns {
  // Changes with connections, not with requests: a Set of those at work leaves its old tables behind all the time.
  const lines = new Map<Socket, Line>();

  function lineOf(socket: Socket): Line {
    const known = lines.get(socket);
    if (known !== undefined) return known;
    const line: Line = {
      socket,
      turns: [],
      latest: null,
      bytesBefore: 0,
      idleSinceMs: performance.now(),
      sweeps: 0,
    };
    if (socket.closed) return line;
    lines.set(socket, line);
    socket.once('close', () => lines.delete(socket));
    return line;
  }

  function queue(line: Line, turn: Turn): void {
    line.turns.push(turn);
    if (line.turns.length > 1) return;
    line.sweeps = 0;
    turn.run();
  }

  function next(line: Line): void {
    line.turns.shift();
    const [turn] = line.turns;
    if (turn !== undefined && line.socket.writable) {
      // Other connections come first: answers that the kernel takes at once would make one stretch of all turns.
      setImmediate(() => {
        if (line.socket.writable) turn.run();
        else next(line);
      });
      return;
    }
    line.turns.length = 0;
    line.idleSinceMs = performance.now();
    const { bytesWritten } = line.socket;
    const isLarge = bytesWritten - line.bytesBefore > SMALL_BYTES;
    line.bytesBefore = bytesWritten;
    // Node has just set the time that an idle connection is kept, and sets its own again with the next request.
    if (isLarge && !line.socket.destroyed) line.socket.setTimeout(lingerMs);
  }

  return {
    open: (socket) => void lineOf(socket),

    take: (handler) => (request, response) => {
      const { socket } = request;
      if (!socket.writable) return; // Refused already: nothing that follows counts.
      const line = lineOf(socket);
      if (line.turns.length >= MAX_WAITING) {
        socket.destroy();
        return;
      }
      line.latest = request;
      response.on('close', () => next(line));
      queue(line, { response, run: () => handler(request, response) });
    },

    refuseNext: (socket, refuse) => {
      const line = lineOf(socket);
      const turn = { response: null, run: refuse };
      if (line.latest?.complete !== false) {
        queue(line, turn);
        return;
      }
      // The mistake is in the body of the latest: its own answer it is that we would give.
      const own = line.turns.at(-1);
      if (own === undefined || own.response?.headersSent === true) socket.destroy();
      else if (line.turns.length > 1) own.run = refuse;
      else refuse();
    },

    idleSince: (socket) => {
      const { turns, idleSinceMs } = lineOf(socket);
      return turns.length === 0 ? idleSinceMs : null;
    },

    sweep: (patience) => {
      for (const line of lines.values()) {
        const [turn] = line.turns;
        if (turn?.response?.headersSent === true && ++line.sweeps > patience) line.socket.destroy();
      }
    },
  };
}
