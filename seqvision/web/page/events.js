// Decoding: the outputs of a network as events of letters, or as belief in classes. It does what
// seqvision/inference/stream_events.py does.

const BLANK = 0;

/** Probabilities of one row of logits. */
export function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The column where a letter ends, from the first one that shows it. */
export function letterEnd(start, delay, size = null) {
  const end = Math.max(start - Math.floor((1 + delay) / 2), 0);
  return size === null ? end : Math.min(end, Math.max(size - 1, 0));
}

/** Decodes a line greedily, a column after another. An event has symbol, columns [first, last],
 *  confidence, final, ends_word and column. */
export class LineEvents {
  constructor(symbols, letterDelay) {
    Object.assign(this, { symbols, letterDelay });
    this.start();
  }

  /** Begins a new line. */
  start() {
    Object.assign(this, { numColumns: 0, previous: BLANK, first: 0, highest: 0, end: -1 });
  }

  /**
   * The events of the next columns.
   * @param {ArrayLike<number>} logits of n columns, one after another
   * @param {?number} size how many columns the line has, where it has no more
   */
  read(logits, size = null) {
    const events = [];
    const numClasses = this.symbols.length + 1;
    for (let at = 0; at < logits.length; at += numClasses) {
      const row = Array.from(logits.slice(at, at + numClasses));
      const winner = row.indexOf(Math.max(...row));
      const confidence = softmax(row)[winner];
      if (winner === this.previous) {
        this.highest = Math.max(this.highest, confidence);
      } else {
        events.push(...this.#closed(this.numColumns + 1, size));
        Object.assign(this, { previous: winner, first: this.numColumns, highest: confidence });
        if (winner !== BLANK) events.push(this.#event(this.numColumns + 1, size, false));
      }
      this.numColumns++;
    }
    return events;
  }

  /**
   * Ends the line: the events of the empty columns behind it. The next line begins.
   * @param {ArrayLike<number>} logits of the empty columns
   */
  finish(logits) {
    const size = this.numColumns;
    const events = this.read(logits, size);
    events.push(...this.#closed(this.numColumns, size));
    if (events.length) events.at(-1).ends_word = true;
    this.start();
    return events;
  }

  #closed(column, size) {
    return this.previous === BLANK ? [] : [this.#event(column, size, true)];
  }

  #event(column, size, final) {
    const symbol = this.symbols[this.previous - 1];
    const end = letterEnd(this.first, this.letterDelay, size);
    const columns = [Math.min(this.end + 1, end), end];
    if (final) this.end = end;
    const ends_word = final && symbol === " ";
    return { symbol, columns, confidence: this.highest, final, ends_word, column };
  }
}
