// @ts-check
import {byId, element, setText} from './dom.js';
/**
 * @typedef {import('./main.js').Page} Page
 * @typedef {{key: string, name: string, bytes: number, images: number, objects: number, notes: Record<string, number>,
 *   skipped: {what: string, why: string}[], skipped_count: number, polygons: {mean: number, least: number, worst: string}|null}} Exported
 */

/** What a format asks for; those without an entry have masks alone. */
const POLYGONS = /** @type {Record<string, 'always'|'choice'>} */ ({
  coco: 'choice', labelme: 'choice', yolo: 'always', geojson: 'always', 'label-studio': 'choice', cvat: 'choice',
});
const PAUSE = 150;

/** The dialogue that writes the project in a format of other programs and says what was lost. */
export class Export {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.dialog = /** @type {HTMLDialogElement} */ (byId('export'));
    this.form = /** @type {HTMLFormElement} */ (byId('export-form'));
    this._abort = new AbortController();
    byId('export-close').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this._make();
    });
    this.form.addEventListener('input', () => this._changed());
  }

  show() {
    this._say('');
    this._changed();
    this.dialog.showModal();
  }

  /** @param {string} name @returns {HTMLInputElement} */
  _field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** Only what the format knows is asked. */
  _changed() {
    const format = this._field('format').value, kind = POLYGONS[format];
    const drawn = kind === 'always' || (kind === 'choice' && this._field('polygons').checked);
    byId('export-polygons').hidden = kind !== 'choice';
    byId('export-map').hidden = format !== 'png';
    byId('export-detail').hidden = !drawn;
    const tolerance = Number(this._field('tolerance').value);
    setText(byId('export-tolerance'), tolerance ? `within ${tolerance} px` : 'every pixel');
    clearTimeout(this._timer);
    this._abort.abort();
    if (drawn) this._timer = setTimeout(() => this._measure(tolerance), PAUSE);
  }

  /** Say how polygons of this detail would do on the image that is open. @param {number} tolerance */
  async _measure(tolerance) {
    const picture = this.page.state.picture, line = byId('export-likeness');
    if (!picture) return;
    this._abort = new AbortController();
    const {signal} = this._abort;
    try {
      const query = new URLSearchParams({path: picture.path, tolerance: String(tolerance)});
      const answer = await this.page.connection.fetch(`/api/v1/outlines?${query}`, {signal});
      /** @type {{object: number, corners: number, iou: number}[]} */
      const found = answer.ok ? await answer.json() : [];
      if (!found.length) {
        setText(line, 'This image has no object yet to try it on.');
        return;
      }
      const corners = found.reduce((sum, one) => sum + one.corners, 0);
      const least = found.reduce((worst, one) => (one.iou < worst.iou ? one : worst));
      const mean = found.reduce((sum, one) => sum + one.iou, 0) / found.length;
      setText(line, `This image: ${count(found.length, 'object')}, ${count(corners, 'corner')}, likeness to the masks (IoU) ` +
        (found.length > 1 ? `${share(mean)} on average, ${share(least.iou)} at least (object ${least.object}).` : `${share(mean)}.`));
    } catch {
      if (!signal.aborted) setText(line, '');
    }
  }

  async _make() {
    const query = new URLSearchParams({
      format: this._field('format').value, polygons: String(this._field('polygons').checked),
      tolerance: this._field('tolerance').value, label_map: String(this._field('label_map').checked),
      with_images: String(this._field('with_images').checked),
    });
    const start = /** @type {HTMLButtonElement} */ (byId('export-start'));
    start.disabled = true;
    this._say('Writing …');
    try {
      const answer = await this.page.connection.fetch(`/api/v1/exports?${query}`, {method: 'POST'});
      if (answer.ok) this._done(await answer.json());
      else this._say(await reason(answer), true);
    } catch {
      this._say('The server does not answer.', true);
    }
    start.disabled = false;
  }

  /** @param {Exported} made */
  _done(made) {
    this._say(`${count(made.objects, 'object')} of ${count(made.images, 'image')}: `);
    const token = encodeURIComponent(this.page.connection.token);
    const link = element('a', {href: `/api/v1/exports/${made.key}?token=${token}`, download: made.name}, made.name);
    byId('export-result').append(link, ` (${size(made.bytes)})`);
    const lines = Object.entries(made.notes).map(([what, times]) => `${times} × ${what}`);
    if (made.polygons) {
      const {mean, least, worst} = made.polygons;
      lines.unshift(`Likeness of the polygons to the masks (IoU): ${share(mean)} on average, ${share(least)} at least (${worst}).`);
    }
    for (const {what, why} of made.skipped) lines.push(`left out: ${what}: ${why}`);
    if (made.skipped_count > made.skipped.length) lines.push(`left out: ${made.skipped_count - made.skipped.length} more`);
    if (!lines.length) lines.push('Nothing was lost.');
    byId('export-notes').replaceChildren(...lines.map((line) => element('li', {}, line)));
    link.click();
  }

  /** @param {string} text @param {boolean} wrong */
  _say(text, wrong = false) {
    const line = byId('export-result');
    line.replaceChildren(text);
    line.classList.toggle('wrong', wrong);
    byId('export-notes').replaceChildren();
  }
}

/** @param {Response} answer */
async function reason(answer) {
  try {
    const {detail} = await answer.json();
    return typeof detail === 'string' ? detail : 'The server refused it.';
  } catch {
    return 'The server failed; its output says why.';
  }
}

/** @param {number} value */
function share(value) {
  return value.toFixed(4);
}

/** @param {number} number @param {string} what */
function count(number, what) {
  return `${number.toLocaleString()} ${what}${number === 1 ? '' : 's'}`;
}

/** @param {number} bytes */
function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3)).toLocaleString()} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
