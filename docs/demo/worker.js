// @ts-check
/** The worker: holds the frames, fuses them tile by tile, and answers the page. */

import { open } from "./engine.js";
import { SHORTEST, blend, planesOf, sharesOf, tilesOf } from "./fusing.js";

/** @typedef {import("./fusing.js").Network} Network */
/** @typedef {import("./engine.js").Session} Session */
/** @typedef {{ rgb: Uint8Array, width: number, height: number }} Frame */
/** @typedef {{ network: Network, processor: import("./engine.js").Processor | "auto" }} Choice */

/** Rows that are read at once: browsers limit the area of a canvas, and memory is needed for so much only. */
const STRIP = 256;

/** The longer side of a thumbnail. */
const THUMBNAIL = 256;

/** @type {Map<number, Frame>} */
const frames = new Map();

/** @type {{ key: string, session: Session } | undefined} */
let opened;

/** @type {Promise<unknown>} */
let opening = Promise.resolve();

/** @type {{ fused: ImageData, decision: Uint8Array } | undefined} */
let last;

let cancelled = false;

/** What the page can ask for. */
const TASKS = { read, drop, prepare, fuse, png };

addEventListener("message", async ({ data: { task, id, given } }) => {
  if (task === "cancel") {
    cancelled = true;
    return;
  }
  try {
    const answer = await TASKS[/** @type {keyof typeof TASKS} */ (task)](given);
    const moved = Object.values(answer ?? {}).flatMap((each) => each instanceof ImageBitmap ? [each] : []);
    self.postMessage({ id, answer }, { transfer: moved });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
});

/**
 * Decode a file, upright, and keep its pixels.
 * @param {{ key: number, file: File }} given
 * @returns {Promise<{ width: number, height: number, thumbnail: ImageBitmap }>}
 */
async function read({ key, file }) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new Error("this browser cannot read it as a picture. Use JPEG, PNG, WebP or AVIF files.");
  });
  try {
    const { width, height } = bitmap;
    if (Math.min(width, height) < SHORTEST) throw new Error(`it is ${width} × ${height} pixels. Each side needs at least ${SHORTEST}.`);
    frames.set(key, { rgb: pixelsOf(bitmap), width, height });
    const scale = Math.min(THUMBNAIL / Math.max(width, height), 1);
    const thumbnail = await createImageBitmap(bitmap, {
      resizeWidth: Math.ceil(width * scale), resizeHeight: Math.ceil(height * scale), resizeQuality: "high",
    });
    return { width, height, thumbnail };
  } finally {
    bitmap.close();
  }
}

/**
 * A picture's RGB values.
 * @param {ImageBitmap} bitmap
 */
function pixelsOf(bitmap) {
  const { width, height } = bitmap, rgb = new Uint8Array(3 * width * height);
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives no canvas to read it with.");
  let to = 0;
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let from = 0; from < data.length; from += 4, to += 3) {
      if (data[from + 3] < 255) throw new Error("it is transparent in places. Save it without transparency.");
      rgb[to] = data[from];
      rgb[to + 1] = data[from + 1];
      rgb[to + 2] = data[from + 2];
    }
  }
  return rgb;
}

/** Forget frames. @param {{ keys: number[] }} given */
function drop({ keys }) {
  for (const key of keys) frames.delete(key);
}

/**
 * Load what computes, so that the first picture need not wait for it.
 * @param {Choice} choice
 */
async function prepare(choice) {
  return { by: (await sessionFor(choice)).by };
}

/**
 * A network, opened once: pictures may come while `prepare` still loads it.
 * @param {Choice} choice
 * @returns {Promise<Session>}
 */
function sessionFor(choice) {
  const session = opening.catch(() => {}).then(() => openedFor(choice));
  opening = session;
  return session;
}

/** @param {Choice} choice */
async function openedFor({ network, processor }) {
  const key = `${network.name} ${processor}`;
  if (opened?.key !== key) {
    await opened?.session.close();
    opened = undefined;
    const response = await fetch(new URL(network.file, import.meta.url));
    if (!response.ok) throw new Error(`${network.file} is missing on the server (${response.status})`);
    const model = new Uint8Array(await response.arrayBuffer());
    opened = { key, session: await open(model, processor, (note) => self.postMessage({ note })) };
  }
  return opened.session;
}

/**
 * Fuse frames that were read. Gives the fused picture, the map in the frames' colors and the decision, or null
 * after a cancel.
 * @param {Choice & { keys: number[], odds: number, colors: [number, number, number][] }} given
 */
async function fuse({ keys, odds, colors, ...choice }) {
  cancelled = false;
  const session = await sessionFor(choice);
  const held = keys.map((key) => /** @type {Frame} */ (frames.get(key)));
  const { width, height } = held[0], rgb = held.map((each) => each.rgb);
  const begun = performance.now();
  const fused = { pixels: new Uint8ClampedArray(4 * width * height), decision: new Uint8Array(width * height) };
  let done = 0;
  for (const part of tilesOf(width, height, held.length, choice.network)) {
    const scores = await session.scores(planesOf(rgb, width, part.seen), [held.length, 3, part.seen.height, part.seen.width]);
    blend(scores, rgb, width, part, odds, fused);
    done += part.tile.width * part.tile.height;
    self.postMessage({ progress: done / (width * height) });
    await new Promise((heard) => setTimeout(heard)); // a cancel is heard here
    if (cancelled) return null;
  }
  last = { fused: new ImageData(fused.pixels, width, height), decision: fused.decision };
  return {
    seconds: (performance.now() - begun) / 1000,
    by: session.by,
    width,
    height,
    shares: sharesOf(fused.decision, held.length),
    decision: fused.decision,
    fused: await createImageBitmap(last.fused),
    map: await createImageBitmap(mapOf(fused.decision, width, height, colors)),
  };
}

/**
 * A decision in the frames' colors.
 * @param {Uint8Array} decision
 * @param {number} width
 * @param {number} height
 * @param {[number, number, number][]} colors
 */
function mapOf(decision, width, height, colors) {
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer);
  const table = colors.map(([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
  for (let at = 0; at < words.length; at++) words[at] = table[decision[at]];
  return image;
}

/**
 * What was fused last, or its map, as a PNG file.
 * @param {{ layer: "fused" | "map", colors: [number, number, number][] }} given
 * @returns {Promise<{ blob: Blob }>}
 */
async function png({ layer, colors }) {
  if (!last) throw new Error("nothing is fused yet");
  const { width, height } = last.fused, canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  if (!context) throw new Error(`this browser cannot save a picture of ${width} × ${height} pixels`);
  context.putImageData(layer === "map" ? mapOf(last.decision, width, height, colors) : last.fused, 0, 0);
  return { blob: await canvas.convertToBlob({ type: "image/png" }) };
}
