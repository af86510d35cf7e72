// The network in the server of `--mode=serve`, over a WebSocket. The same methods as OnnxEngine.

class SocketEngine {
  constructor(socket, onLost) {
    this.socket = socket;
    this.waiting = [];
    socket.onmessage = ({ data }) => this.#answered(JSON.parse(data));
    socket.onclose = ({ reason }) => {
      const why = reason || "the server has ended, or the connection broke: reload the page";
      this.lost = this.lost || new Error(why);
      for (const { reject } of this.waiting.splice(0)) reject(this.lost);
      onLost(this.lost);
    };
  }

  push(bytes) {
    return this.#ask(bytes);
  }

  finish() {
    return this.#ask('{"do": "finish"}');
  }

  reset() {
    return this.#ask('{"do": "reset"}');
  }

  #ask(message) {
    if (this.lost) return Promise.reject(this.lost);
    const begun = performance.now();
    this.socket.send(message);
    return new Promise((resolve, reject) => {
      const done = (answer) => resolve({ ...answer, trip: performance.now() - begun });
      this.waiting.push({ resolve: done, reject });
    });
  }

  #answered(answer) {
    const next = this.waiting.shift();
    if (answer.error) next?.reject(new Error(answer.error));
    else next?.resolve(answer);
  }
}

/** The engine of a server; `onLost` gets the error when the connection ends. */
export async function connect(facts, onLost) {
  const socket = new WebSocket(new URL("stream", location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    // The server says at once that there is a place, or closes with a reason.
    socket.onmessage = resolve;
    socket.onclose = ({ reason }) => reject(new Error(reason || "the server gives no stream"));
  });
  return new SocketEngine(socket, onLost);
}
