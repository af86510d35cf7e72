// Pictures and clips from files, and drawn ink, as the bytes of a network's inputs.

const MOST_BYTES = 20e6;

/** A drawing as one picture (height, width, channels): light on dark, or dark on light. */
export function frameBytes(ink, { inputs }) {
  const [height, width, channels] = inputs.shape.slice(-3);
  const bytes = new Uint8Array(height * width * channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = ink.pixels[x * height + y];
      for (let c = 0; c < channels; c++) bytes[at++] = inputs.background === "light" ? 255 - value : value;
    }
  }
  return bytes;
}

/**
 * The pictures in files, each (height, width, channels) bytes.
 * @throws {Error} one that is no picture, or too large
 */
export async function picturesOf(files, facts, ofClips) {
  const found = [];
  for (const file of files) {
    if (file.size > MOST_BYTES) {
      throw new Error(`${file.name}: ${(file.size / 1e6).toFixed(1)} MB; open pictures of up to ${MOST_BYTES / 1e6} MB`);
    }
    try {
      const bitmaps = ofClips && file.type === "image/gif" ? await framesOf(file) : [await createImageBitmap(file)];
      found.push(...bitmaps.map((bitmap) => fitted(bitmap, facts)));
    } catch (error) {
      throw new Error(`${file.name}: it is no picture that this browser can read (${error.message})`);
    }
    // As `--mode=read` says it; where training pictures differ in their paper, one may be blank.
    const isBlank = !ofClips && facts.inputs.background !== "mixed" && isEven(found.at(-1), facts);
    if (isBlank) throw new Error(`${file.name}: it is blank: all its pixels are alike`);
  }
  return found;
}

async function framesOf(file) {
  if (!("ImageDecoder" in window)) throw new Error("it does not take GIFs apart; open one picture for each frame");
  const decoder = new ImageDecoder({ data: await file.arrayBuffer(), type: file.type });
  await decoder.tracks.ready;
  const frames = [];
  for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack.frameCount; frameIndex++) {
    const { image } = await decoder.decode({ frameIndex });
    frames.push(await createImageBitmap(image));
    image.close();
  }
  return frames;
}

/** Scaled to fit, in grey where the network reads grey, and light and dark swapped where its paper
 *  is not that of the training pictures. */
function fitted(bitmap, { inputs }) {
  const [height, width, channels] = inputs.shape.slice(-3);
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, h] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const edge = borderOf(bitmap);
  pen.fillStyle = `rgb(${edge.join(" ")})`;
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (width - w) >> 1, (height - h) >> 1, w, h);
  const rgba = pen.getImageData(0, 0, width, height).data;
  const { background } = inputs;
  const isSwapped = background === (edge[1] > 127 ? "dark" : "light");
  const bytes = new Uint8Array(width * height * channels);
  for (let at = 0; at < width * height; at++) {
    const colours = rgba.slice(4 * at, 4 * at + 3);
    const grey = Math.round(0.299 * colours[0] + 0.587 * colours[1] + 0.114 * colours[2]);
    for (let c = 0; c < channels; c++) {
      const value = channels === 1 ? grey : colours[c];
      bytes[at * channels + c] = isSwapped ? 255 - value : value;
    }
  }
  return bytes;
}

/** Whether all pixels of a picture are alike. */
export function isEven(bytes, { inputs }) {
  const channels = inputs.shape.at(-1);
  return bytes.every((value, at) => value === bytes[at % channels]);
}

/** The mean red, green and blue of a picture's border. */
function borderOf(bitmap) {
  const size = 32;
  const pen = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white"; // Behind what is transparent.
  pen.fillRect(0, 0, size, size);
  pen.drawImage(bitmap, 0, 0, size, size);
  const { data } = pen.getImageData(0, 0, size, size);
  const sums = [0, 0, 0];
  let count = 0;
  for (let at = 0; at < size * size; at++) {
    const [x, y] = [at % size, Math.floor(at / size)];
    if (x > 0 && y > 0 && x < size - 1 && y < size - 1) continue;
    sums.forEach((sum, c) => (sums[c] = sum + data[4 * at + c]));
    count++;
  }
  return sums.map((sum) => Math.round(sum / count));
}
