// @ts-check
/** Elements of the page: found and made. */

/**
 * @template {keyof HTMLElementTagNameMap} [Tag="div"]
 * @param {string} id
 * @param {Tag} [_tag] Of the element, for its type.
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export const by = (id, _tag) => /** @type {any} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {object} properties
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A small canvas with a bitmap, cut to fill it. @param {ImageBitmap} bitmap */
export function thumbnail(bitmap) {
  const [width, height] = [232, 152], canvas = make("canvas", { width, height, ariaHidden: "true" });
  const scale = Math.max(width / bitmap.width, height / bitmap.height), context = canvas.getContext("2d");
  const w = bitmap.width * scale, h = bitmap.height * scale;
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
  return canvas;
}

/**
 * A frame's number in its color on the map.
 * @param {number} place
 * @param {[number, number, number]} color
 */
export function chip(place, [red, green, blue]) {
  const isLight = 0.299 * red + 0.587 * green + 0.114 * blue > 115;
  const element = make("span", { className: isLight ? "chip light" : "chip", textContent: `${place + 1}` });
  element.style.background = `rgb(${red} ${green} ${blue})`;
  return element;
}
