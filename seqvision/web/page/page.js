// The page: finds what the network is and where it runs, and shows what fits.

import { showClassifier } from "./classifier_page.js";
import { showReader } from "./reader_page.js";

/** Shows an error as one line; without one, none. What was said of the reading before is over. */
export function say(error) {
  document.getElementById("problem").textContent = error ? error.message : "";
  if (error) document.getElementById("speed").textContent = "";
}

/** Such as `1 row` or `2 rows`. */
export function counted(n, name) {
  return `${n} ${n === 1 ? name.replace(/s$/, "") : name}`;
}

/** A button among the tools, with its key. */
export function tool(name, keys, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  if (keys) button.setAttribute("aria-keyshortcuts", keys);
  if (keys) button.title = keys;
  button.addEventListener("click", action);
  document.getElementById("tools").append(button);
}

/** Ctrl+Z, Delete and Enter, but where a button or field has them itself. */
export function keys({ undo, clear, next }) {
  document.addEventListener("keydown", (event) => {
    const isFree = !event.target.closest("button, input, label");
    const isUndo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
    const action = isUndo ? undo : isFree && { Delete: clear, Enter: next }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** How long something took. */
export function took(answer, n, name) {
  const each = n > 1 ? ` (${(answer.ms / n).toFixed(3)} ms each)` : "";
  const trip = answer.trip ? `, ${answer.trip.toFixed(1)} ms with the way to the server` : "";
  return `${counted(n, name)} read in ${answer.ms.toFixed(2)} ms${each}${trip}`;
}

async function main() {
  const answer = await fetch("network.json");
  if (!answer.ok) throw new Error(`network.json: ${answer.status} ${answer.statusText}`);
  const facts = await answer.json();
  const { connect } = await import(facts.engine === "socket" ? "./socket_engine.js" : "./onnx_engine.js");
  const engine = await connect(facts, say);
  document.getElementById("tools").hidden = false;
  (facts.kind === "reader" ? showReader : showClassifier)(facts, engine);
  document.body.dataset.ready = "yes";
}

main().catch(say);
