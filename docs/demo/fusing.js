// @ts-check
/** From scores to pixels, as mfsynth's Python does it; pure functions of arrays. */

/**
 * A part of a picture, in pixels.
 * @typedef {{ left: number, top: number, width: number, height: number }} Box
 */

/**
 * What the page needs to know about a network; `halo` and `stride` are in pixels.
 * @typedef {{ name: string, title: string, file: string, halo: number, stride: number }} Network
 */

/** The most frames x pixels that the network sees at once: it then needs some 400 MB. */
const SEEN = 4 << 20;

/** The longest side that it sees, so that progress moves and a cancel is soon heard. */
const LONGEST = 1280;

/** The shortest side of a picture that a network takes. */
export const SHORTEST = 16;

/**
 * A picture's tiles, and what the network sees of each: its margins are as wide as the network's reach, so that
 * scores inside are those of the whole picture.
 * @param {number} width
 * @param {number} height
 * @param {number} count Of frames.
 * @param {Network} network
 * @returns {{ tile: Box, seen: Box }[]}
 */
export function tilesOf(width, height, count, { halo, stride }) {
  const longest = Math.min(LONGEST, Math.sqrt(SEEN / count)) - 2 * halo;
  const side = Math.floor(Math.max(longest, halo) / stride) * stride;
  const parts = [];
  for (let top = 0; top < height; top += side) {
    for (let left = 0; left < width; left += side) {
      const right = Math.min(left + side, width), bottom = Math.min(top + side, height);
      const x = Math.max(left - halo, 0), y = Math.max(top - halo, 0);
      parts.push({
        tile: { left, top, width: right - left, height: bottom - top },
        seen: { left: x, top: y, width: Math.min(right + halo, width) - x, height: Math.min(bottom + halo, height) - y },
      });
    }
  }
  return parts;
}

/**
 * What the network is given: count x 3 x height x width, in [0, 1].
 * @param {Uint8Array[]} frames RGB, all of one size.
 * @param {number} width Of the frames.
 * @param {Box} seen
 * @returns {Float32Array}
 */
export function planesOf(frames, width, seen) {
  const area = seen.width * seen.height, planes = new Float32Array(frames.length * 3 * area);
  for (const [number, frame] of frames.entries()) {
    let red = number * 3 * area;
    for (let y = seen.top; y < seen.top + seen.height; y++) {
      let from = 3 * (y * width + seen.left);
      for (const end = red + seen.width; red < end; red++, from += 3) {
        planes[red] = frame[from] / 255;
        planes[red + area] = frame[from + 1] / 255;
        planes[red + 2 * area] = frame[from + 2] / 255;
      }
    }
  }
  return planes;
}

/**
 * Write a tile by the rule `blend`: the likeliest frame's pixel, mixed only with those of frames whose odds
 * against it are larger than `odds`; see `blended` in zoo/fusing/rules.py.
 * @param {Float32Array} scores count x seen.height x seen.width
 * @param {Uint8Array[]} frames RGB
 * @param {number} width Of the frames.
 * @param {{ tile: Box, seen: Box }} part
 * @param {number} odds
 * @param {{ pixels: Uint8ClampedArray, decision: Uint8Array }} fused RGBA, and the number of the likeliest frame.
 */
export function blend(scores, frames, width, { tile, seen }, odds, { pixels, decision }) {
  const area = seen.width * seen.height, least = Math.log(odds);
  for (let y = tile.top; y < tile.top + tile.height; y++) {
    let at = (y - seen.top) * seen.width + tile.left - seen.left;
    for (let here = y * width + tile.left, end = here + tile.width; here < end; here++, at++) {
      const best = likeliest(scores, at, area, frames, 3 * here), top = scores[best * area + at];
      let total = 0, red = 0, green = 0, blue = 0;
      for (let number = 0; number < frames.length; number++) {
        const behind = scores[number * area + at] - top;
        if (behind <= least) continue;
        const weight = Math.exp(behind) - odds, frame = frames[number];
        total += weight;
        red += weight * frame[3 * here];
        green += weight * frame[3 * here + 1];
        blue += weight * frame[3 * here + 2];
      }
      if (!(total > 0)) throw new Error("the network's result is not finite: this processor computes it wrongly");
      decision[here] = best;
      pixels[4 * here] = red / total; // such an array rounds, halves to even
      pixels[4 * here + 1] = green / total;
      pixels[4 * here + 2] = blue / total;
      pixels[4 * here + 3] = 255;
    }
  }
}

/**
 * The frame with the largest score; of equals, the one with the larger RGB value.
 * @param {Float32Array} scores
 * @param {number} at The pixel in the scores.
 * @param {number} area From one frame's score to the next one's.
 * @param {Uint8Array[]} frames
 * @param {number} rgb The pixel in the frames.
 */
function likeliest(scores, at, area, frames, rgb) {
  let best = 0;
  for (let number = 1; number < frames.length; number++) {
    const more = scores[number * area + at] - scores[best * area + at];
    if (more > 0 || (more === 0 && isLarger(frames[number], frames[best], rgb))) best = number;
  }
  return best;
}

/**
 * Whether one frame's RGB value is larger than another's, red first.
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 * @param {number} rgb
 */
function isLarger(one, other, rgb) {
  for (let channel = rgb; channel < rgb + 3; channel++) {
    if (one[channel] !== other[channel]) return one[channel] > other[channel];
  }
  return false;
}

/**
 * How much of the picture each frame was chosen for.
 * @param {Uint8Array} decision
 * @param {number} count Of frames.
 * @returns {number[]} Fractions.
 */
export function sharesOf(decision, count) {
  const areas = new Array(count).fill(0);
  for (const number of decision) areas[number]++;
  return areas.map((area) => area / decision.length);
}
