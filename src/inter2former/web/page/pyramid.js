// @ts-check
/**
 * @typedef {import('./state.js').Picture} Picture
 * @typedef {import('./view.js').View} View
 * @typedef {{level: number, column: number, row: number}} Place
 */

const MOST_TILES = 240;
const AT_ONCE = 6;

/** The image as tiles of several levels, fetched as they are looked at. */
export class Pyramid extends EventTarget {
  /** @param {import('./socket.js').Connection} connection */
  constructor(connection) {
    super();
    this._connection = connection;
    /** @type {Picture|null} */
    this._picture = null;
    /** @type {Map<string, ImageBitmap>} */
    this._tiles = new Map();
    /** @type {Set<string>} */
    this._coming = new Set();
    /** @type {Map<string, number>} */
    this._failed = new Map();
    this._abort = new AbortController();
  }

  /** @param {Picture} picture */
  show(picture) {
    if (this._picture?.key === picture.key && this._picture.path === picture.path) return;
    this._abort.abort();
    this._abort = new AbortController();
    for (const tile of this._tiles.values()) tile.close();
    this._tiles.clear();
    this._coming.clear();
    this._failed.clear();
    this._picture = picture;
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @returns {boolean} whether everything is as sharp as it gets */
  draw(context, view) {
    const picture = this._picture;
    if (!picture) return true;
    const wanted = Math.min(Math.max(Math.floor(Math.log2(1 / view.scale) + 0.01), 0), picture.levels - 1);
    context.imageSmoothingEnabled = view.scale < 2;
    context.imageSmoothingQuality = 'high';
    /** @type {Place[]} */
    const missing = [];
    for (let level = picture.levels - 1; level >= wanted; level--) {
      for (const place of this._visible(picture, view, level)) {
        const tile = this._tiles.get(name(place));
        if (tile) this._drawTile(context, view, picture, place, tile);
        else if (level === wanted || level === picture.levels - 1) missing.push(place);
      }
    }
    missing.sort((a, b) => b.level - a.level);
    for (const place of missing) this._fetch(picture, place);
    return missing.length === 0;
  }

  /** @param {Picture} picture @param {View} view @param {number} level @returns {Place[]} */
  _visible(picture, view, level) {
    const step = picture.tile * 2 ** level;
    const [left, top] = view.toImage(0, 0), [right, bottom] = view.toImage(view.width, view.height);
    const places = [];
    const columns = Math.ceil(picture.width / step), rows = Math.ceil(picture.height / step);
    for (let row = Math.max(0, Math.floor(top / step)); row < Math.min(rows, bottom / step); row++)
      for (let column = Math.max(0, Math.floor(left / step)); column < Math.min(columns, right / step); column++)
        places.push({level, column, row});
    return places;
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Picture} picture @param {Place} place @param {ImageBitmap} tile */
  _drawTile(context, view, picture, {level, column, row}, tile) {
    const factor = 2 ** level, step = picture.tile * factor;
    // A halved odd side is rounded up, so the last tile may reach half a pixel too far.
    const width = Math.min(tile.width * factor, picture.width - column * step);
    const height = Math.min(tile.height * factor, picture.height - row * step);
    const [x, y] = view.toCanvas(column * step, row * step);
    const [right, bottom] = view.toCanvas(column * step + width, row * step + height);
    const left = Math.round(x), top = Math.round(y);
    context.drawImage(tile, 0, 0, width / factor, height / factor, left, top, Math.round(right) - left, Math.round(bottom) - top);
  }

  /** @param {Picture} picture @param {Place} place */
  async _fetch(picture, place) {
    const key = name(place);
    if (this._coming.has(key) || this._coming.size >= AT_ONCE || (this._failed.get(key) ?? 0) > 2) return;
    this._coming.add(key);
    const signal = this._abort.signal;
    const query = new URLSearchParams({path: picture.path, key: picture.key, level: String(place.level),
      column: String(place.column), row: String(place.row)});
    try {
      const answer = await this._connection.fetch(`/api/v1/tile?${query}`, {signal});
      if (!answer.ok) throw new Error(String(answer.status));
      const tile = await createImageBitmap(await answer.blob());
      if (signal.aborted) tile.close();
      else this._keep(key, tile);
    } catch (error) {
      if (!signal.aborted) this._failed.set(key, (this._failed.get(key) ?? 0) + 1);
    }
    if (signal.aborted) return;
    this._coming.delete(key);
    this.dispatchEvent(new Event('change'));
  }

  /** @param {string} key @param {ImageBitmap} tile */
  _keep(key, tile) {
    this._tiles.set(key, tile);
    for (const [old, bitmap] of this._tiles) {
      if (this._tiles.size <= MOST_TILES) break;
      if (old.startsWith(`${(this._picture?.levels ?? 1) - 1}/`)) continue;
      this._tiles.delete(old);
      bitmap.close();
    }
  }
}

/** @param {Place} place */
function name({level, column, row}) {
  return `${level}/${column}/${row}`;
}
