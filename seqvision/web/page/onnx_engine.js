// The network in this browser: its ONNX files run by onnxruntime-web.

import { LineEvents, softmax } from "./events.js";

/** Runs the network that `facts` (network.json) describe. One sequence at a time. */
export class OnnxEngine {
  /**
   * @param {object} ort onnxruntime-web
   * @param {object} facts network.json
   * @param {Uint8Array} content of step.onnx, or of network.onnx where there are no steps
   */
  static async load(ort, facts, content) {
    const engine = new OnnxEngine();
    Object.assign(engine, { ort, facts });
    const options = { logSeverityLevel: 3 };
    engine.session = await ort.InferenceSession.create(content, options);
    engine.lines = facts.kind === "reader" && new LineEvents(facts.symbols, facts.letter_delay);
    await engine.reset();
    return engine;
  }

  /** Drops what was read, and begins anew. */
  async reset() {
    this.memory = {};
    for (const { name, shape, start } of this.facts.memory) {
      const size = shape.reduce((product, length) => product * length, 1);
      const values = new Float32Array(size).fill(start);
      this.memory[name] = new this.ort.Tensor("float32", values, [1, ...shape]);
    }
    if (this.lines) this.lines.start();
  }

  /**
   * Reads the next steps.
   * @param {Uint8Array} bytes of n columns, rows, frames or pixels, or of the whole input
   * @param {number} n
   * @returns {{events?: object[], beliefs?: number[][], ms: number}}
   */
  async push(bytes, n) {
    const begun = performance.now();
    const logits = await this.logits(bytes, n);
    if (this.lines) return { events: this.lines.read(logits), ms: performance.now() - begun };
    const size = this.facts.classes.length;
    const beliefs = [];
    for (let at = 0; at < logits.length; at += size) {
      beliefs.push(softmax(logits.slice(at, at + size)));
    }
    return { beliefs, ms: performance.now() - begun };
  }

  /** Ends a line: reads the empty columns behind it. The next line begins. */
  async finish() {
    const begun = performance.now();
    const { delay, inputs } = this.facts;
    const events = this.lines.finish(await this.logits(new Uint8Array(delay * inputs.shape[0]), delay));
    await this.reset();
    return { events, ms: performance.now() - begun };
  }

  /** Logits of the next n steps, one after another. */
  async logits(bytes, n) {
    if (!n) return new Float32Array();
    const { ort, facts } = this;
    const named = { inputs: new ort.Tensor("uint8", ...this.#arranged(bytes, n)) };
    if (this.session.inputNames.includes("lengths")) {
      const length = facts.steps ? n : facts.inputs.shape[facts.kind === "reader" ? 1 : 0];
      named.lengths = new ort.Tensor("int32", Int32Array.of(length), [1]);
    }
    const outputs = await this.session.run({ ...named, ...this.memory });
    for (const name in this.memory) this.memory[name] = outputs[`new_${name}`];
    return outputs.logits.data;
  }

  /** Bytes, step after step, as the values and the shape of the network's inputs. */
  #arranged(bytes, n) {
    const { steps, inputs } = this.facts;
    const shape = inputs.shape;
    if (steps === "pixels") return [bytes, [1, n, shape.at(-1)]];
    if (steps !== "columns") return [bytes, [1, ...(steps ? [n, ...shape.slice(1)] : shape)]];
    const [height, , channels] = shape;
    const rows = new Uint8Array(bytes.length);
    for (let column = 0; column < n; column++) {
      for (let row = 0; row < height; row++) {
        for (let channel = 0; channel < channels; channel++) {
          rows[(row * n + column) * channels + channel] =
            bytes[(column * height + row) * channels + channel];
        }
      }
    }
    return [rows, [1, height, n, channels]];
  }
}

/** The engine of a folder that holds the network's files and those of onnxruntime-web. */
export async function connect(facts) {
  const ort = await import("./ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1; // Several need headers that a plain file server does not send.
  ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
  const answer = await fetch(facts.steps ? "step.onnx" : "network.onnx");
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${answer.statusText}`);
  return OnnxEngine.load(ort, facts, new Uint8Array(await answer.arrayBuffer()));
}
