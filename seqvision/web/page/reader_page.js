// The page of a reader: lines to write on, and the letters below their ink.

import { Follower, guides, LEAD, Line } from "./line.js";
import { keys, say, took, tool } from "./page.js";
import { colour, listen, paint } from "./pen.js";

/** So long the pen is up before the last letter is decided, in ms. */
const PAUSE = 350;

class Strip {
  constructor(facts, number, width, scale, changed) {
    const height = facts.inputs.shape[0];
    this.guides = guides(facts);
    Object.assign(this, { number, line: new Line(height, width, this.guides.radius) });
    this.place = document.createElement("div");
    this.place.className = "line";
    this.canvas = document.createElement("canvas");
    this.canvas.width = width * scale * 2; // Sharp on screens of two dots a pixel.
    this.canvas.height = height * scale * 2;
    this.canvas.style.width = `${width * scale}px`;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.letters = document.createElement("ol");
    this.letters.className = "letters";
    this.place.append(this.canvas, this.letters);
    listen(this.canvas, width, height, {
      begin: (x, y) => changed(this, () => this.line.begin(x, y), true),
      move: (x, y) => changed(this, () => this.line.move(x, y), true),
      end: () => changed(this, () => {}, false),
    });
    this.show();
  }

  /** Draws the ink, the marks of its letters, and how far it was read. */
  show() {
    const { line, canvas } = this;
    const { width, height, pixels } = line.ink;
    const pen = paint(canvas, width, height, (x, y) => pixels[x * height + y]);
    const unit = canvas.width / width;
    pen.fillStyle = colour("edge");
    const { top, foot } = this.guides;
    for (const row of [top, foot]) pen.fillRect(0, Math.round((row * canvas.height) / height), canvas.width, 2);
    line.letters.forEach(({ columns, symbol }, place) => {
      if (symbol === " ") return;
      const [first, last] = this.#inked(columns);
      pen.fillStyle = colour(place % 2 ? "other" : "mark");
      pen.globalAlpha = 0.13;
      pen.fillRect(first * unit, 0, (last + 1 - first) * unit, canvas.height);
      pen.globalAlpha = 1;
      pen.fillRect(first * unit, canvas.height - 5, (last + 1 - first) * unit, 5);
    });
    pen.fillStyle = colour("quiet");
    if (line.read) pen.fillRect(line.read * unit, 0, 1, canvas.height);
    const name = line.ink.end ? `with ink, read as: ${line.text || "nothing yet"}` : "empty";
    canvas.setAttribute("aria-label", `Line ${this.number}, ${name}. Write here with pen, finger or mouse.`);
    this.letters.replaceChildren(...line.letters.map((letter) => this.#item(letter)));
  }

  #item({ symbol, columns, confidence, final, column }) {
    const item = document.createElement("li");
    const [first, last] = this.#inked(columns);
    item.style.left = `${(100 * (first + last + 1)) / 2 / this.line.ink.width}%`;
    item.textContent = symbol === " " ? "␣" : symbol;
    item.className = final ? "" : "open";
    item.title = `columns ${first} to ${last}, decided when ${column} were read`;
    const sure = document.createElement("small");
    sure.textContent = `${Math.round(100 * confidence)} %`;
    item.append(sure);
    return item;
  }

  /** Of the columns since the letter before, those from the first with ink. */
  #inked([first, last]) {
    let from = first;
    while (from < last && !this.line.ink.hasInk(from)) from++;
    return from < last ? [from, last] : [first, last];
  }
}

/** Shows lines to write on. */
export function showReader(facts, engine) {
  const work = document.getElementById("work");
  const text = facts.symbols.map((symbol) => (symbol === " " ? "space" : symbol)).join(" ");
  document.getElementById("what").textContent =
    "Write from left to right between the two rules, with pen, finger or mouse. The network follows" +
    ` ${LEAD} columns behind the pen, and to the end when it pauses; ink on columns that it has read` +
    ` makes it read the line anew. It knows: ${text}`;
  const width = Math.min(work.clientWidth - 2, 1200);
  const scale = width < 600 ? 3 : 4;
  const strips = [];
  let active = null;
  let timer = 0;

  const follower = new Follower(engine, (line, answer, n) => {
    const strip = strips.find((one) => one.line === line);
    if (!strip) return; // It was cleared.
    strip.show();
    const letter = answer.events.at(-1);
    const late = letter ? `; '${letter.symbol}' ${letter.column - 1 - letter.columns[1]} columns after its end` : "";
    if (n) document.getElementById("speed").textContent = `${took(answer, n, "columns")}${late}`;
    listening();
  }, say);

  function add() {
    const strip = new Strip(facts, strips.length + 1, Math.floor(width / scale), scale, changed);
    strips.push(strip);
    work.append(strip.place);
  }

  /** Ends the lines but this one, and sees that an empty one follows. */
  function turnTo(strip) {
    active = strip;
    for (const each of strips) each.line.isOver = each !== strip;
    if (strips.at(-1).line.ink.end) add();
  }

  function changed(strip, change, isDown) {
    change();
    turnTo(strip);
    strip.show();
    clearTimeout(timer);
    if (!isDown) timer = setTimeout(paused, PAUSE);
    follower.follow(strip.line);
  }

  function paused() {
    active.line.pause(facts.delay);
    follower.follow(active.line);
    listening();
  }

  let said = 0;
  /** Says the text once it stays. */
  function listening() {
    clearTimeout(said);
    said = setTimeout(() => {
      const lines = strips.filter(({ line }) => line.ink.end).map(({ line }) => line.text);
      document.getElementById("heard").textContent = lines.join("\n");
    }, PAUSE);
  }

  function undo() {
    const strip = active?.line.ink.strokes.length ? active : strips.findLast(({ line }) => line.ink.end);
    if (!strip) return;
    changed(strip, () => strip.line.undo(), false);
  }

  function clear() {
    clearTimeout(timer);
    say(null);
    document.getElementById("speed").textContent = "";
    for (const { place } of strips.splice(0)) place.remove();
    add();
    active = strips[0];
    follower.follow(active.line);
    listening();
  }

  function next() {
    clearTimeout(timer);
    if (!active?.line.ink.end) return;
    turnTo(strips.at(-1));
    active.canvas.focus();
    follower.follow(active.line);
  }

  tool("Undo", "Control+Z", undo);
  tool("Clear", "Delete", clear);
  tool("New line", "Enter", next);
  keys({ undo, clear, next });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const strip of strips) strip.show();
  });
  add();
}
