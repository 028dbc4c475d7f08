// @ts-check
/** The page: what is given, what is shown, what is said. */

import { by, chip, make, thumbnail } from "./elements.js";
import { Helper } from "./helper.js";
import { keep } from "./offline.js";
import { Viewer } from "./viewer.js";

/** @typedef {{ key: number, file: File, name: string, width: number, height: number, thumbnail: ImageBitmap }} Frame */
/** @typedef {{ fused: ImageBitmap, map: ImageBitmap, decision: Uint8Array, shares: number[], width: number, height: number, seconds: number, by: string }} Result */
/** @typedef {"fused" | "map" | number} Layer A number is a frame's key. */
/** @typedef {{ networks: import("./fusing.js").Network[], colors: [number, number, number][], odds: number, example: string[] }} Built */

/** The most frames, and pixels in all of them: their values take 3 bytes a pixel. */
const MOST = 30, MOST_PIXELS = 4e8;

/** Pixels of whole frames that are kept for viewing; others are decoded when they are looked at. */
const KEPT_PIXELS = 6e7;

/** @type {Frame[]} */
let frames = [];
/** @type {Result | undefined} */
let result;
/** @type {Layer | undefined} */
let shown;
/** @type {Layer | undefined} */
let before;
/** @type {Helper | undefined} */
let started;
let nextKey = 0, reading = 0, fusing = false, cancelled = false, again = false;

/** Aborted by a click on "Start over". */
let course = new AbortController();

/** @type {Map<number, ImageBitmap>} */
const whole = new Map();

/** @type {Built} */
const built = await fetch("built.json").then((response) => response.json()).catch(() => undefined);
const files = by("files", "input"), network = by("network", "select"), processor = by("processor", "select");
const viewer = new Viewer(by("viewer"), by("canvas", "canvas"), (scale) => {
  by("zoomed").textContent = `${Math.round(scale * 100)}%`;
}, lookedAt);

// --- what is said

/** For screen readers. @param {string} text */
function announce(text) {
  by("live").textContent = text;
}

/** @param {string} text */
function complain(text) {
  by("problems").querySelector("ul")?.append(make("li", { textContent: text }));
  by("problems").hidden = false;
}

function forgive() {
  by("problems").querySelector("ul")?.replaceChildren();
  by("problems").hidden = true;
}

/** The worker, started when it is first needed. */
function helper() {
  started ??= new Helper((done) => {
    const told = Math.floor(by("progress", "progress").value * 4);
    by("progress", "progress").value = done;
    if (Math.floor(done * 4) > told && done < 1) announce(`${Math.floor(done * 4) * 25}% fused`);
  }, (note) => {
    by("notes").textContent = note;
  });
  return started;
}

/** @param {unknown} error */
const reasonOf = (error) => (error instanceof Error ? error.message : String(error));

// --- what is given

/** Read files, in the order of their names, and fuse. @param {Iterable<File>} given */
async function add(given) {
  const natural = new Intl.Collator(undefined, { numeric: true });
  const sorted = [...given].sort((one, other) => natural.compare(one.name, other.name));
  if (!sorted.length) return;
  forgive();
  const held = frames, { signal } = course;
  for (const [place, file] of sorted.entries()) {
    reading = sorted.length - place;
    by("doing").textContent = `Reading ${file.name}`;
    refresh();
    await read(file, signal);
    if (signal.aborted) return;
  }
  reading = 0;
  refresh();
  if (frames === held) return;
  if (!held.length) by("viewer").focus({ preventScroll: true });
  await changed();
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 */
async function read(file, signal) {
  const key = nextKey++;
  try {
    if (frames.length >= MOST) throw new Error(`there are ${MOST} pictures already. Fuse fewer at once.`);
    const { width, height, thumbnail } = await helper().ask("read", { key, file });
    const frame = { key, file, name: file.name, width, height, thumbnail };
    try {
      signal.throwIfAborted();
      checkFits(frame);
    } catch (error) {
      await helper().ask("drop", { keys: [key] });
      throw error;
    }
    frames = [...frames, frame];
    by("work").style.setProperty("--ratio", `${width / height}`);
    shown ??= key;
    await show(shown);
  } catch (error) {
    if (!signal.aborted) complain(`${file.name} is left out: ${reasonOf(error)}`);
  }
}

/** @param {Frame} frame */
function checkFits({ width, height }) {
  const [first] = frames;
  if (first && (width !== first.width || height !== first.height)) {
    throw new Error(`it is ${width} × ${height} pixels, and ${first.name} is ${first.width} × ${first.height}. `
      + "All pictures must have one size: use them as the camera took them, not cropped or turned.");
  }
  if ((frames.length + 1) * width * height > MOST_PIXELS) {
    throw new Error(`together, the pictures have more than ${MOST_PIXELS / 1e6} megapixels. Use fewer, or smaller ones.`);
  }
}

/** @param {Frame} frame */
async function remove(frame) {
  const place = frames.indexOf(frame);
  frames = frames.filter((each) => each !== frame);
  whole.get(frame.key)?.close();
  whole.delete(frame.key);
  forget();
  if (shown === frame.key) shown = undefined;
  if (!frames.length) viewer.clear();
  announce(`${frame.name} was removed`);
  refresh();
  if (frames.length) by("strip").querySelectorAll("input")[Math.min(place, frames.length - 1)]?.focus();
  else by("example").focus();
  await helper().ask("drop", { keys: [frame.key] });
  await changed();
}

async function clear() {
  course.abort();
  course = new AbortController();
  reading = 0;
  if (fusing) helper().cancel();
  const keys = frames.map(({ key }) => key);
  frames = [];
  forget();
  for (const bitmap of whole.values()) bitmap.close();
  whole.clear();
  shown = before = undefined;
  viewer.clear();
  forgive();
  refresh();
  by("example").focus();
  announce("All pictures were removed");
  await helper().ask("drop", { keys });
}

function forget() {
  by("looked").textContent = "";
  result?.fused.close();
  result?.map.close();
  result = undefined;
  if (typeof shown === "string") shown = frames[0]?.key;
}

// --- fusing

const choice = () => ({ network: built.networks[network.selectedIndex], processor: processor.value });

/** Fuse what there is now. */
async function changed() {
  forget();
  cancelled = false;
  if (frames.length) shown ??= frames[0].key;
  refresh();
  if (shown !== undefined) await show(shown);
  if (fusing) {
    again = true;
    helper().cancel();
  } else if (frames.length >= 2 && !reading) await fuse();
}

async function fuse() {
  Object.assign(by("progress", "progress"), { value: 0 });
  fusing = true;
  again = cancelled = false;
  by("doing").textContent = `Fusing ${frames.length} pictures`;
  announce(`Fusing ${frames.length} pictures`);
  by("notes").textContent = "";
  refresh();
  try {
    const asked = frames, keys = asked.map(({ key }) => key);
    const answer = await helper().ask("fuse", { keys, odds: built.odds, colors: built.colors, ...choice() });
    if (answer && frames === asked && !again) {
      result = /** @type {Result} */ (answer);
      await show("fused");
      announce(`Done: ${summary(result)}`);
    } else if (!again) {
      cancelled = true;
      announce("Cancelled");
    }
  } catch (error) {
    complain(`The pictures could not be fused: ${reasonOf(error)}`);
    cancelled = true;
  }
  fusing = false;
  refresh();
  if (again && frames.length >= 2 && !reading) await fuse();
}

/** @param {Result} result */
function summary({ width, height, seconds, by: computer }) {
  const time = seconds < 10 ? seconds.toFixed(1) : Math.round(seconds);
  return `${frames.length} pictures of ${width}\u00a0×\u00a0${height}, fused in ${time}\u00a0s by the ${computer}.`;
}

/** Save the fused picture or the map as PNG, in full resolution. @param {"fused" | "map"} layer */
async function save(layer) {
  try {
    const { blob } = await helper().ask("png", { layer, colors: built.colors });
    const link = make("a", { href: URL.createObjectURL(blob), download: `${frames[0].name.replace(/\.[^.]*$/, "")}-${layer}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    announce(`${link.download} was saved`);
  } catch (error) {
    complain(`The picture could not be saved: ${reasonOf(error)}`);
  }
}

// --- what is shown

/** @param {Layer} layer */
async function show(layer) {
  if (layer !== shown) before = shown;
  shown = layer;
  const frame = frames.find(({ key }) => key === layer);
  by("viewer").classList.toggle("picking", layer === "map");
  by("canvas").ariaLabel = frame ? `Frame ${frames.indexOf(frame) + 1}, ${frame.name}` : layer === "map" ? "Decision map" : "Fused picture";
  const radio = by("strip").querySelector(`input[value="${layer}"]`);
  if (radio instanceof HTMLInputElement) radio.checked = true;
  if (frame) await showFrame(frame);
  else if (result) viewer.show(layer === "map" ? result.map : result.fused);
}

/** @param {Frame} frame */
async function showFrame({ key, file }) {
  let bitmap = whole.get(key);
  if (!bitmap) {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    if (!frames.some((each) => each.key === key)) return bitmap.close();
  }
  whole.delete(key);
  whole.set(key, bitmap); // the last one that was looked at comes last
  for (const [other, old] of whole) {
    if (other === key || whole.size * bitmap.width * bitmap.height <= KEPT_PIXELS) break;
    old.close();
    whole.delete(other);
  }
  if (shown === key) viewer.show(bitmap);
}

/** @param {number} x @param {number} y */
function lookedAt(x, y) {
  if (!result) return;
  const { width, height, decision } = result, isInside = x >= 0 && y >= 0 && x < width && y < height;
  by("looked").textContent = isInside ? `${x}, ${y}: frame ${decision[y * width + x] + 1}` : "";
}

/** Show the page as things are; a button that is hidden gives the focus to the one in its place. */
function refresh() {
  const actions = ["save", "fuse", "cancel"].map((id) => by(id)), active = document.activeElement;
  const begun = frames.length > 0 || reading > 0;
  by("start").hidden = begun;
  by("work").hidden = !begun;
  by("busy").hidden = !fusing && !reading;
  by("cancel").hidden = !fusing;
  if (reading) by("progress").removeAttribute("value");
  by("said").textContent = result ? summary(result)
    : fusing || reading ? ""
    : frames.length < 2 ? "Add at least one more picture of the same scene."
    : cancelled ? "Nothing is fused." : "";
  by("save").hidden = by("save-map").hidden = !result;
  by("fuse").hidden = Boolean(result) || fusing || reading > 0 || frames.length < 2;
  by("shares").hidden = !result;
  if (result) by("shares").querySelector("tbody")?.replaceChildren(...result.shares.map(row));
  const focused = document.activeElement instanceof HTMLInputElement && by("strip").contains(document.activeElement) ? document.activeElement.value : "";
  by("strip").replaceChildren(
    ...(result ? [item("fused", result.fused, "Fused"), item("map", result.map, "Decision map")] : []),
    ...frames.map((frame, place) => item(frame.key, frame.thumbnail, frame.name, place)),
  );
  const radio = focused && by("strip").querySelector(`input[value="${focused}"]`);
  if (radio instanceof HTMLElement) radio.focus();
  if (actions.some((each) => each === active && !each.checkVisibility())) actions.find((each) => each.checkVisibility())?.focus();
}

/** A layer to choose. @param {Layer} layer @param {ImageBitmap} bitmap @param {string} name @param {number} [place] Of a frame. */
function item(layer, bitmap, name, place) {
  const input = make("input", { type: "radio", name: "layer", value: layer, checked: layer === shown });
  input.addEventListener("change", () => show(layer));
  const words = make("span", { textContent: name, title: name });
  const caption = make("span", { className: "name" }, ...(place === undefined ? [] : [chip(place, built.colors[place])]), words);
  const element = make("li", {}, make("label", {}, input, thumbnail(bitmap), caption));
  if (place !== undefined) {
    const button = make("button", { type: "button", className: "remove", ariaLabel: `Remove ${name}`, title: `Remove ${name}`, textContent: "×" });
    button.addEventListener("click", () => remove(frames[place]));
    element.append(button);
  }
  return element;
}

/** @param {number} share @param {number} place */
function row(share, place) {
  const { name } = frames[place];
  return make("tr", {}, make("th", { scope: "row" }, chip(place, built.colors[place])), make("td", { textContent: name, title: name }),
    make("td", { textContent: share > 0 && share < 0.005 ? "< 1%" : `${Math.round(share * 100)}%` }));
}

// --- what is done

function listen() {
  for (const button of document.querySelectorAll("[data-pick]")) button.addEventListener("click", () => files.click());
  files.addEventListener("change", async () => {
    const given = [...(files.files ?? [])];
    files.value = "";
    await add(given);
  });
  by("example").addEventListener("click", async () => {
    try {
      await add(await Promise.all(built.example.map(fetched)));
    } catch (error) {
      complain(`The example could not be loaded: ${reasonOf(error)}`);
    }
  });
  by("dismiss").addEventListener("click", forgive);
  by("clear").addEventListener("click", clear);
  by("cancel").addEventListener("click", () => helper().cancel());
  by("fuse").addEventListener("click", fuse);
  by("save").addEventListener("click", () => save("fused"));
  by("save-map").addEventListener("click", () => save("map"));
  for (const select of [network, processor]) select.addEventListener("change", changed);
  by("smaller").addEventListener("click", () => viewer.smaller());
  by("larger").addEventListener("click", () => viewer.larger());
  by("whole").addEventListener("click", () => viewer.fit());
  by("actual").addEventListener("click", () => viewer.at(1));
  by("viewer").addEventListener("keydown", pressed);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    await add(event.dataTransfer?.files ?? []);
  });
}

/** @param {KeyboardEvent} event */
async function pressed(event) {
  if (event.target !== by("viewer") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase(), frame = frames[Number(key) - 1];
  if (key === "f" && result) await show("fused");
  else if (key === "m" && result) await show("map");
  else if (frame) await show(frame.key);
  else if (key === " ") {
    event.preventDefault();
    if (before !== undefined && (typeof before === "string" ? result : frames.some((each) => each.key === before))) await show(before);
  }
}

/** @param {string} path */
async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  const blob = await response.blob();
  return new File([blob], path.split("/").pop() ?? path, { type: blob.type });
}

if (built) {
  for (const each of document.querySelectorAll("[data-most]")) each.textContent = `${MOST}`;
  network.replaceChildren(...built.networks.map(({ name, title }) => make("option", { value: name, textContent: title })));
  listen();
  const kept = await keep(() => !frames.length && !reading);
  await helper().ask("prepare", choice()).then(() => {
    by("offline").hidden = !kept;
    document.documentElement.dataset.ready = "";
  }, (error) => complain(`The network could not be loaded: ${reasonOf(error)}`));
} else {
  by("start").hidden = by("dismiss").hidden = true;
  complain("This copy of the page was built without what computes. Build it with scripts/build_demo.py, which needs node and npm.");
}
