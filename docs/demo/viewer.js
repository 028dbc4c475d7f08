// @ts-check
/** A picture that can be moved and magnified with mouse, fingers and keys. */

/** The largest magnification, in CSS pixels for a pixel of the picture. */
const LARGEST = 32;

/** From this magnification on, pixels are shown as squares. */
const SQUARES = 3;

const STEP = 1.25;

export class Viewer {
  /** @type {ImageBitmap | undefined} */
  #bitmap;
  #scale = 1;
  #x = 0; // the place of the picture at the middle, in its pixels
  #y = 0;
  #fits = true;
  #waiting = false;
  /** @type {Map<number, { x: number, y: number }>} */
  #fingers = new Map();

  /**
   * @param {HTMLElement} element Takes the focus.
   * @param {HTMLCanvasElement} canvas
   * @param {(scale: number) => void} onScale
   * @param {(x: number, y: number) => void} onLook Told the pixel under the pointer, or at the middle after a key.
   */
  constructor(element, canvas, onScale, onLook) {
    this.element = element;
    this.canvas = canvas;
    this.onScale = onScale;
    this.onLook = onLook;
    new ResizeObserver(() => this.#changed()).observe(element);
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), ...this.#at(event));
    }, { passive: false });
    element.addEventListener("dblclick", (event) => {
      if (event.target === canvas) this.#fits || this.#scale < 1 ? this.zoom(1 / this.#scale, ...this.#at(event)) : this.fit();
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => this.#moved(event));
    for (const kind of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(kind, (event) => this.#fingers.delete(event.pointerId));
    }
    element.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Show a picture; one of the same size stays where the last one was. @param {ImageBitmap} bitmap */
  show(bitmap) {
    const before = this.#bitmap;
    this.#bitmap = bitmap;
    if (before?.width !== bitmap.width || before.height !== bitmap.height) this.fit();
    this.#changed();
  }

  /** Show nothing. */
  clear() {
    this.#bitmap = undefined;
    this.#fits = true;
    this.#changed();
  }

  /** Show all of the picture. */
  fit() {
    this.#fits = true;
    this.#changed();
  }

  /** Show it at a scale, in CSS pixels for a pixel. @param {number} scale */
  at(scale) {
    this.zoom(scale / this.#scale);
  }

  /**
   * Magnify; the place x, y, in CSS pixels from the middle, stays where it is.
   * @param {number} factor
   * @param {number} [x]
   * @param {number} [y]
   */
  zoom(factor, x = 0, y = 0) {
    const before = this.#scale, least = Math.min(this.#whole(), 1);
    this.#scale = Math.min(Math.max(before * factor, least), LARGEST);
    this.#fits = this.#scale === least && least < 1;
    this.#x += x / before - x / this.#scale;
    this.#y += y / before - y / this.#scale;
    this.#changed();
  }

  /** Move by CSS pixels. @param {number} x @param {number} y */
  pan(x, y) {
    this.#fits = false;
    this.#x -= x / this.#scale;
    this.#y -= y / this.#scale;
    this.#changed();
  }

  larger() {
    this.zoom(STEP);
  }

  smaller() {
    this.zoom(1 / STEP);
  }

  #whole() {
    const { clientWidth, clientHeight } = this.element;
    return this.#bitmap ? Math.min(clientWidth / this.#bitmap.width, clientHeight / this.#bitmap.height) : 1;
  }

  /** Where an event is, from the middle. @param {{ clientX: number, clientY: number }} event @returns {[number, number]} */
  #at({ clientX, clientY }) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    return [clientX - left - width / 2, clientY - top - height / 2];
  }

  /** @param {PointerEvent} event */
  #moved(event) {
    const finger = this.#fingers.get(event.pointerId);
    if (finger) {
      const other = [...this.#fingers.entries()].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = Math.hypot(finger.x - other.x, finger.y - other.y);
        const now = Math.hypot(event.clientX - other.x, event.clientY - other.y);
        if (apart > 0) this.zoom(now / apart, ...this.#at({ clientX: (event.clientX + other.x) / 2, clientY: (event.clientY + other.y) / 2 }));
      }
      const share = other ? 0.5 : 1; // each of two fingers moves the picture half as far
      this.pan((event.clientX - finger.x) * share, (event.clientY - finger.y) * share);
      Object.assign(finger, { x: event.clientX, y: event.clientY });
    }
    const [x, y] = this.#at(event);
    this.onLook(Math.floor(this.#x + x / this.#scale), Math.floor(this.#y + y / this.#scale));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const far = 60;
    const keys = /** @type {Record<string, () => void>} */ ({
      "+": () => this.larger(), "=": () => this.larger(), "-": () => this.smaller(), 0: () => this.fit(),
      ArrowLeft: () => this.pan(far, 0), ArrowRight: () => this.pan(-far, 0),
      ArrowUp: () => this.pan(0, far), ArrowDown: () => this.pan(0, -far),
    });
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    this.onLook(Math.floor(this.#x), Math.floor(this.#y));
  }

  #changed() {
    if (this.#bitmap) {
      const { width, height } = this.#bitmap;
      if (this.#fits) {
        this.#scale = Math.min(this.#whole(), 4);
        [this.#x, this.#y] = [width / 2, height / 2];
      }
      this.#x = held(this.#x, width, this.element.clientWidth / this.#scale);
      this.#y = held(this.#y, height, this.element.clientHeight / this.#scale);
      this.onScale(this.#scale);
    }
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#draw();
    });
  }

  #draw() {
    const { canvas, element } = this, ratio = devicePixelRatio, context = canvas.getContext("2d");
    const width = Math.round(element.clientWidth * ratio), height = Math.round(element.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.#bitmap) return;
    const scale = this.#scale * ratio;
    context.imageSmoothingEnabled = this.#scale < SQUARES;
    context.imageSmoothingQuality = "high";
    context.setTransform(scale, 0, 0, scale, Math.round(width / 2 - this.#x * scale), Math.round(height / 2 - this.#y * scale));
    context.drawImage(this.#bitmap, 0, 0);
  }
}

/**
 * The middle of what is shown, so that no more than needed is beside the picture.
 * @param {number} middle
 * @param {number} size Of the picture.
 * @param {number} shown
 */
function held(middle, size, shown) {
  return shown >= size ? size / 2 : Math.min(Math.max(middle, shown / 2), size - shown / 2);
}
