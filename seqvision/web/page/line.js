// A line of writing, and what reads along while it is written.

import { Ink } from "./ink.js";

/** Columns behind the pen that are not read while it is down: about a letter, which it may still
 *  be writing. */
export const LEAD = 24;
/** Columns given at once. */
const MOST = 64;

/** How writing was in training, in rows: the radius of its pen, and top and foot of its letters. */
export function guides({ inputs, looks }) {
  const height = inputs.shape[0];
  if (!looks) return { radius: (1.6 * height) / 32, top: (6 * height) / 32, foot: (26 * height) / 32 };
  const [foot, size, thickness] = [looks.foot, looks.size, looks.thickness].map(([, middle]) => middle);
  return { radius: thickness / 2, top: foot - size, foot };
}

/** A line: its ink, how much of it was read, and the letters. */
export class Line {
  constructor(height, width, radius) {
    this.ink = new Ink(height, width, radius);
    this.wanted = 0; // So many columns may be read.
    this.isOver = false; // Whether the next line has begun.
    this.restart();
  }

  /** Forgets what was read. */
  restart() {
    // `asked` is what the engine has read once it has answered, `read` what it has.
    Object.assign(this, { read: 0, asked: 0, isStale: false, isFinished: false, isEnding: false, letters: [] });
  }

  begin(x, y) {
    this.#changed(this.ink.begin(x, y));
    this.#behind(x);
  }

  move(x, y) {
    if (!this.ink.isDown) return; // The stroke was taken away.
    this.#changed(this.ink.move(x, y));
    this.#behind(x);
  }

  undo() {
    this.#changed(this.ink.undo());
    this.wanted = Math.min(this.wanted, this.ink.end);
  }

  /** The pen pauses: all ink is read, and the empty columns in which its last letter is decided. */
  pause(delay) {
    if (this.ink.end) this.wanted = Math.min(this.ink.width, this.ink.end + delay + 1);
  }

  /** Takes the events of the next columns. */
  take(events) {
    for (const event of events) {
      const last = this.letters.at(-1);
      if (last && !last.final) this.letters.pop();
      this.letters.push(event);
    }
  }

  /** The letters from left to right. */
  get text() {
    return this.letters.map(({ symbol }) => symbol).join("").trim();
  }

  /** Ink in a column that the engine has already: the line has to be read again. */
  #changed(column) {
    if (column < this.asked || this.isEnding) this.isStale = true;
  }

  #behind(x) {
    this.wanted = Math.max(this.wanted, Math.min(this.ink.width, Math.floor(x) - LEAD));
  }
}

/** Gives the engine, which reads one line at a time, what was written. */
export class Follower {
  /**
   * @param {object} engine an OnnxEngine or SocketEngine
   * @param {(line: Line, answer: object, numColumns: number) => void} onRead
   * @param {(error: Error) => void} onError
   */
  constructor(engine, onRead, onError) {
    Object.assign(this, { engine, onRead, onError, line: null, isBusy: false });
  }

  /** Reads what may be read of this line, which is the one that is written now. */
  async follow(line) {
    this.next = line;
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      while (await this.#step());
    } catch (error) {
      this.onError(error);
    }
    this.isBusy = false;
  }

  /** One message to the engine; returns whether there may be more to do. */
  async #step() {
    const { engine, line, next } = this;
    const goesOn = line === next || line === null || line.isFinished || !line.isOver;
    const current = goesOn ? next : line; // The old line is read to its end first.
    if (current !== line || current.isStale) {
      await engine.reset(); // Where it fails, it is asked again.
      this.line = current;
      current.restart();
      return true;
    }
    const wanted = current.isOver ? Math.max(current.ink.end, current.read) : current.wanted;
    if (current.read < wanted) {
      const n = Math.min(wanted - current.read, MOST);
      current.asked = current.read + n;
      // Where it fails, nothing was read, and the same columns are pushed again.
      const answer = await engine.push(current.ink.columns(current.read, current.asked), n);
      if (current.isStale) return true;
      current.read = current.asked;
      this.#took(current, answer, n);
      return true;
    }
    if (!current.isOver || current.isFinished) return false;
    current.isEnding = true;
    const answer = await engine.finish();
    if (current.isStale) return true;
    current.isFinished = true;
    this.#took(current, answer, 0);
    return true;
  }

  #took(line, answer, n) {
    line.take(answer.events);
    this.onRead(line, answer, n);
  }
}
