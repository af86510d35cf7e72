// Ink: strokes of a pen as the grey levels that a network reads.

/** A picture of light ink (255) on dark (0), kept column after column, as networks read it. */
export class Ink {
  /**
   * @param {number} height rows
   * @param {number} width columns
   * @param {number} radius of the pen, in pixels
   */
  constructor(height, width, radius) {
    Object.assign(this, { height, width, radius });
    this.strokes = [];
    this.isDown = false; // Whether the last stroke goes on.
    this.pixels = new Uint8Array(height * width);
  }

  /** Puts the pen down. Returns the first column that changed. */
  begin(x, y) {
    this.strokes.push([[x, y]]);
    this.isDown = true;
    return this.#draw(x, y, x, y);
  }

  /** Moves the pen on, if its stroke is still there. Returns the first column that changed, or the
   *  width. */
  move(x, y) {
    if (!this.isDown) return this.width;
    const stroke = this.strokes.at(-1);
    const [fromX, fromY] = stroke.at(-1);
    stroke.push([x, y]);
    return this.#draw(fromX, fromY, x, y);
  }

  /** Takes the last stroke away. Returns the first column that changed, or the width. */
  undo() {
    this.isDown = false;
    const gone = this.strokes.pop();
    if (!gone) return this.width;
    this.pixels.fill(0);
    for (const stroke of this.strokes) {
      stroke.forEach(([x, y], at) => this.#draw(...stroke[Math.max(0, at - 1)], x, y));
    }
    const left = Math.min(...gone.map(([x]) => x));
    return Math.max(0, Math.floor(left - this.radius - 1));
  }

  /** Columns first to last, without last: height bytes each. */
  columns(first, last) {
    return this.pixels.slice(first * this.height, last * this.height);
  }

  hasInk(column) {
    return this.columns(column, column + 1).some((value) => value > 60);
  }

  /** One more than the last column with ink; 0 without any. */
  get end() {
    const last = this.pixels.findLastIndex((value) => value > 0);
    return last < 0 ? 0 : Math.floor(last / this.height) + 1;
  }

  /** A line with round ends, of one pixel's softness at its edges. Pixel (0, 0) has its centre
   *  at (0.5, 0.5). */
  #draw(x0, y0, x1, y1) {
    const { height, width, radius, pixels } = this;
    const reach = radius + 1;
    const clip = (value, size) => Math.min(size, Math.max(0, Math.floor(value)));
    const left = clip(Math.min(x0, x1) - reach, width);
    const right = clip(Math.max(x0, x1) + reach + 1, width);
    const top = clip(Math.min(y0, y1) - reach, height);
    const bottom = clip(Math.max(y0, y1) + reach + 1, height);
    const [dx, dy] = [x1 - x0, y1 - y0];
    const square = dx * dx + dy * dy;
    for (let x = left; x < right; x++) {
      for (let y = top; y < bottom; y++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const along = square ? Math.min(1, Math.max(0, (px * dx + py * dy) / square)) : 0;
        const away = Math.hypot(px - along * dx, py - along * dy);
        const level = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - away)));
        if (level > pixels[x * height + y]) pixels[x * height + y] = level;
      }
    }
    return left;
  }
}
