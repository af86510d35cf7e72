// The page of a classifier: a picture or a clip, and belief in each class as it is read.

import { Ink } from "./ink.js";
import { counted, keys, say, took, tool } from "./page.js";
import { listen, paint } from "./pen.js";
import { frameBytes, picturesOf } from "./pictures.js";

const SHOWN = 12; // So many classes, the most probable ones at the end.

/** Shows a canvas to draw on or to drop pictures on, and bars. */
export function showClassifier(facts, engine) {
  const shape = facts.inputs.shape;
  const [height, width, channels] = shape.slice(-3);
  const ofClips = shape.length === 4;
  const step = ofClips ? "frames" : facts.steps || "pictures";
  const work = document.getElementById("work");
  work.className = "classifier";
  work.innerHTML = `
    <div>
      <canvas tabindex="0" role="img" aria-label="Draw here with pen, finger or mouse, or drop a picture"></canvas>
      <label>Seen: <span id="count"></span><input id="step" type="range" min="0" max="0" value="0"></label>
    </div>
    <table aria-label="Belief in each class"><tbody></tbody></table>`;
  const [canvas, slider] = [work.querySelector("canvas"), work.querySelector("#step")];
  const scale = Math.max(1, Math.round(640 / Math.max(height, width)));
  Object.assign(canvas, { width: width * scale, height: height * scale });
  document.getElementById("what").textContent =
    `Draw large and in the middle, with pen, finger or mouse, or open or drop ${ofClips ? "a GIF or pictures, one a frame" : "a picture"}.` +
    ` It becomes ${width} x ${height} pixels.` +
    (facts.steps ? ` The network reads ${facts.steps} one after another; move the slider to see` +
      " what it believed after each." : " The network needs all of it at once.");
  const rowsOf = facts.classes.map((name) => {
    const row = document.createElement("tr");
    row.innerHTML = '<th scope="row"></th><td class="bar"><meter min="0" max="1"></meter></td><td class="number"></td>';
    row.querySelector("th").textContent = name;
    row.querySelector("meter").setAttribute("aria-label", name);
    return row;
  });
  let ink, picture, frames, beliefs, turn = 0, timer = 0;

  /** Grey of a pixel, as ink: 255 is what differs most from the paper. */
  const shown = () => picture ?? frameBytes(ink, facts);
  function draw() {
    const bytes = shown();
    const isLight = facts.inputs.background === "light";
    paint(canvas, width, height, (x, y) => {
      const value = bytes[(y * width + x) * channels + (channels > 1 ? 1 : 0)];
      return isLight ? 255 - value : value;
    });
  }

  function show() {
    const at = Number(slider.value);
    const unit = facts.steps === "pixels" ? width : 1;
    document.getElementById("count").textContent = `${at * unit} of ${counted(slider.max * unit, step)}`;
    const belief = at ? beliefs[at - 1] : facts.classes.map(() => 0);
    const order = facts.classes.map((_, number) => number);
    const last = beliefs.at(-1);
    const kept = last ? order.sort((a, b) => last[b] - last[a]).slice(0, SHOWN).sort((a, b) => a - b) : order.slice(0, SHOWN);
    const best = at ? belief.indexOf(Math.max(...belief)) : -1;
    work.querySelector("tbody").replaceChildren(...kept.map((number) => rowsOf[number]));
    rowsOf.forEach((row, number) => {
      row.className = number === best ? "best" : "";
      row.querySelector("meter").value = belief[number];
      row.querySelector(".number").textContent = `${(100 * belief[number]).toFixed(1)} %`;
    });
    return best;
  }

  /** The steps of a picture or clip, each as bytes and how many steps these are. */
  function* pieces() {
    if (ofClips) {
      for (const frame of frames) yield [frame, 1];
      return;
    }
    const bytes = shown();
    if (!facts.steps) return yield [bytes, 1];
    const size = width * channels;
    if (facts.steps !== "columns") {
      const n = facts.steps === "pixels" ? width : 1;
      for (let y = 0; y < height; y++) yield [bytes.slice(y * size, (y + 1) * size), n];
      return;
    }
    for (let x = 0; x < width; x++) {
      const column = new Uint8Array(height * channels);
      for (let y = 0; y < height; y++) {
        column.set(bytes.subarray(y * size + x * channels, y * size + (x + 1) * channels), y * channels);
      }
      yield [column, 1];
    }
  }

  /** Reads everything from the start, shown step by step. */
  async function read() {
    const mine = ++turn;
    if (!ofClips && !picture && !ink.end) return forget(); // Nothing is drawn.
    const most = (ofClips && facts.window) || Infinity;
    const all = [...pieces()].slice(0, most);
    [beliefs, slider.max, slider.value] = [[], all.length, 0];
    const isLong = ofClips && frames.length > most;
    const tooLong = `the network knows clips of ${counted(most, "frames")} (config.data.window): ${frames.length - most} more were not read; Clear begins the next clip`;
    say(isLong ? new Error(tooLong) : null);
    let ms = 0, n = 0;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    await engine.reset();
    for (const [bytes, count] of all) {
      if (mine !== turn) return;
      const answer = await engine.push(bytes, count);
      if (mine !== turn) return;
      [ms, n] = [ms + answer.ms, n + count];
      beliefs.push(answer.beliefs.at(-1));
      slider.value = beliefs.length;
      show();
      if (!isStill) await new Promise(requestAnimationFrame);
    }
    const best = show();
    if (best < 0) return;
    document.getElementById("speed").textContent = took({ ms }, n, step);
    document.getElementById("heard").textContent =
      `${facts.classes[best]}, ${(100 * beliefs.at(-1)[best]).toFixed(1)} percent`;
  }

  function begin() {
    clearTimeout(timer);
    [picture, turn] = [null, turn + 1];
  }
  const failed = (error) => (forget(), say(error));
  const later = () => (timer = setTimeout(() => read().catch(failed), ofClips ? 0 : 150));

  /** Shows no belief. */
  function forget() {
    [beliefs, slider.max, slider.value] = [[], 0, 0];
    document.getElementById("speed").textContent = document.getElementById("heard").textContent = "";
    show();
  }

  function clear() {
    begin();
    say(null);
    [ink, picture, frames] = [new Ink(height, width, (1.6 * height) / 28), null, []];
    draw();
    forget();
  }

  function undo() {
    begin();
    ink.undo();
    draw();
    if (!ofClips) later();
  }

  function addFrame() {
    frames.push(shown());
    later();
  }

  /** Opens a picture, or a clip, in place of what there is. */
  async function open(files) {
    if (!files.length) return; // The dialogue was left.
    clear();
    const mine = turn;
    try {
      const pictures = await picturesOf([...files], facts, ofClips);
      if (mine !== turn) return; // Something else was begun meanwhile.
      [frames, picture] = [ofClips ? pictures : [], pictures.at(-1)];
      draw();
      later();
    } catch (error) {
      if (mine === turn) say(error);
    }
  }

  tool("Undo", "Control+Z", undo);
  tool("Clear", "Delete", clear);
  if (ofClips) tool("Add frame", "Enter", addFrame);
  const file = document.createElement("label");
  file.className = "file";
  file.innerHTML = `Open <input class="unseen" type="file" accept="image/*" ${ofClips ? "multiple" : ""}>`;
  file.firstElementChild.addEventListener("change", ({ target }) => {
    open([...target.files]);
    target.value = ""; // So that the same file can be opened again.
  });
  document.getElementById("tools").append(file);
  keys({ undo, clear, next: ofClips ? addFrame : undefined });
  slider.addEventListener("input", show);
  const end = () => (ofClips ? undefined : later());
  listen(canvas, width, height, {
    begin: (x, y) => (begin(), ink.begin(x, y), draw()),
    move: (x, y) => (ink.move(x, y), draw()),
    end,
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      work.classList.toggle("dropping", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) open(event.dataTransfer.files);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  clear();
}
