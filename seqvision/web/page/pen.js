// A canvas that shows ink, and the pen, finger or mouse on it.

/** Calls begin(x, y), move(x, y) and end() in pixels of the network, one pointer at a time. */
export function listen(canvas, width, height, { begin, move, end }) {
  let pen = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - canvas.clientLeft) / canvas.clientWidth;
    const y = (event.clientY - box.top - canvas.clientTop) / canvas.clientHeight;
    return [x * width, y * height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pen !== null || event.button !== 0) return;
    pen = event.pointerId;
    canvas.setPointerCapture(pen);
    begin(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pen) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) move(...place(each));
  });
  const up = (event) => {
    if (event.pointerId !== pen) return;
    pen = null;
    end();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
}

/** A colour of the style sheet, as it is now: light or dark. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Draws pixel(x, y), 0 to 255, as ink on paper all over a canvas. */
export function paint(canvas, width, height, pixel) {
  const small = new OffscreenCanvas(width, height);
  const pen = small.getContext("2d");
  const image = pen.createImageData(width, height);
  const [r, g, b] = colour("ink").match(/\w\w/g).map((digits) => parseInt(digits, 16));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) image.data.set([r, g, b, pixel(x, y)], at);
  }
  pen.putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return context;
}
