// @ts-check
/** @typedef {import('./types.js').Box} Box */

/**
 * A mask as rows of runs: small for any size of image, and drawn crisply at every zoom.
 * rows[i] holds pairs (first column, first column outside) of row `top + i`.
 */
export class Mask {
  /** @param {number} top @param {Uint32Array[]} rows */
  constructor(top = 0, rows = []) {
    this.top = top;
    this.rows = rows;
    /** @type {Box|null} */
    this.box = boxOf(top, rows);
  }

  /** @param {number} x @param {number} y */
  contains(x, y) {
    const row = this.rows[y - this.top];
    if (!row) return false;
    for (let i = 0; i < row.length; i += 2) if (x >= row[i] && x < row[i + 1]) return true;
    return false;
  }

  /** The number of set pixels. */
  get area() {
    let sum = 0;
    for (const row of this.rows) for (let i = 0; i < row.length; i += 2) sum += row[i + 1] - row[i];
    return sum;
  }
}

/** @param {number} top @param {Uint32Array[]} rows @returns {Box|null} */
function boxOf(top, rows) {
  let left = Infinity, right = 0, first = -1, last = -1;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (!row.length) continue;
    if (first < 0) first = i;
    last = i;
    left = Math.min(left, row[0]);
    right = Math.max(right, row[row.length - 1]);
  }
  return first < 0 ? null : [left, top + first, right, top + last + 1];
}

const NONE = new Uint32Array(0);

/**
 * Read the runs of a box: lengths in LEB128, row by row, background first.
 * @param {Uint8Array} bytes @param {Box} box @returns {Mask}
 */
export function readRuns(bytes, [left, top, right, bottom]) {
  const width = right - left;
  /** @type {number[][]} */
  const rows = Array.from({length: bottom - top}, () => []);
  let at = 0, position = 0, set = false;
  while (at < bytes.length) {
    let length = 0, shift = 0, byte;
    do {
      byte = bytes[at++];
      length += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
    if (set) {
      let rest = length, from = position;
      while (rest > 0) {
        const y = Math.floor(from / width), x = from - y * width;
        const taken = Math.min(rest, width - x);
        rows[y].push(left + x, left + x + taken);
        from += taken;
        rest -= taken;
      }
    }
    position += length;
    set = !set;
  }
  return new Mask(top, rows.map((row) => (row.length ? Uint32Array.from(row) : NONE)));
}

/**
 * The mask with everything inside a box replaced.
 * @param {Mask} before @param {Box} box @param {Mask} patch @returns {Mask}
 */
export function patched(before, box, patch) {
  const [left, top, right, bottom] = box;
  const first = Math.min(top, before.rows.length ? before.top : top);
  const last = Math.max(bottom, before.top + before.rows.length);
  const rows = [];
  for (let y = first; y < last; y++) {
    const old = before.rows[y - before.top] ?? NONE;
    if (y < top || y >= bottom) {
      rows.push(old);
      continue;
    }
    /** @type {number[]} */
    const row = [];
    const add = (/** @type {number} */ from, /** @type {number} */ to) => {
      if (from >= to) return;
      if (row.length && row[row.length - 1] === from) row[row.length - 1] = to;
      else row.push(from, to);
    };
    for (let i = 0; i < old.length; i += 2) add(old[i], Math.min(old[i + 1], left));
    const inner = patch.rows[y - patch.top] ?? NONE;
    for (let i = 0; i < inner.length; i += 2) add(inner[i], inner[i + 1]);
    for (let i = 0; i < old.length; i += 2) add(Math.max(old[i], right), old[i + 1]);
    rows.push(row.length ? Uint32Array.from(row) : NONE);
  }
  return new Mask(first, rows);
}

/**
 * Draw a mask at a scale into bytes, 1 where it is. Zoomed out, a pixel of the screen is set where any of its pixels is,
 * so that thin parts stay.
 * @param {Mask} mask @param {number} scale screen pixels per original pixel
 * @param {Box} clip in screen pixels from the image's corner @returns {Uint8Array} of the clip's size
 */
export function rasterised(mask, scale, [left, top, right, bottom]) {
  const width = right - left, height = bottom - top;
  const plane = new Uint8Array(width * height);
  const near = scale >= 1;
  const low = (/** @type {number} */ v) => (near ? Math.round(v * scale) : Math.floor(v * scale));
  const high = (/** @type {number} */ v) => (near ? Math.round(v * scale) : Math.ceil(v * scale));
  const firstRow = Math.max(0, Math.floor(top / scale) - 1 - mask.top);
  const lastRow = Math.min(mask.rows.length, Math.ceil(bottom / scale) + 1 - mask.top);
  for (let i = firstRow; i < lastRow; i++) {
    const row = mask.rows[i];
    if (!row.length) continue;
    const y = mask.top + i;
    const y0 = Math.max(low(y), top) - top, y1 = Math.min(high(y + 1), bottom) - top;
    if (y1 <= y0) continue;
    const start = y0 * width;
    for (let k = 0; k < row.length; k += 2) {
      const x0 = Math.max(low(row[k]), left) - left, x1 = Math.min(high(row[k + 1]), right) - left;
      if (x1 > x0) plane.fill(1, start + x0, start + x1);
    }
    if (near) for (let copy = y0 + 1; copy < y1; copy++) plane.copyWithin(copy * width, start, start + width);
  }
  return plane;
}
