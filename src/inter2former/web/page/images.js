// @ts-check
import {byId, element, setAttribute, setText} from './dom.js';
/**
 * @typedef {import('./state.js').State} State
 * @typedef {import('./types.js').ImageItem} ImageItem
 */

const ROW = 30;
const SIGNS = /** @type {Record<string, string>} */ ({open: '○', done: '●', skipped: '–'});

/** The images of the folder; only the rows in sight are made, so that a hundred thousand are no burden. */
export class ImageList {
  /** @param {State} state @param {(path: string) => void} open */
  constructor(state, open) {
    this.state = state;
    this.open = open;
    this.scroller = byId('image-scroller');
    this.list = byId('images');
    this.filter = /** @type {HTMLSelectElement} */ (byId('image-filter'));
    this.search = /** @type {HTMLInputElement} */ (byId('image-search'));
    /** @type {ImageItem[]} */
    this.items = [];
    /** @type {Set<string>} */
    this.unreadable = new Set();
    /** @type {string|null} */
    this._passed = null;
    this._frame = 0;
    for (const [target, name] of /** @type {[EventTarget, string][]} */ ([[this.filter, 'change'], [this.search, 'input'], [state, 'images']]))
      target.addEventListener(name, () => this._choose());
    state.addEventListener('picture', () => {
      this._passed = null;
      this.unreadable.delete(state.picture?.path ?? '');
      this.reveal();
    });
    this.scroller.addEventListener('scroll', () => this._later());
    this.list.addEventListener('keydown', (event) => this._key(event));
    new ResizeObserver(() => this._later()).observe(this.scroller);
  }

  /** Open the image that many further on. @param {number} step @returns {boolean} whether there is one */
  step(step) {
    const next = this.neighbour(step);
    if (next !== null) this.open(next);
    return next !== null;
  }

  /** @param {number} step @returns {string|null} the path that many further on, from the image or one that could not be read */
  neighbour(step) {
    const here = this._passed ?? this.state.picture?.path;
    const at = this.items.findIndex((item) => item.path === here);
    return this.items[at < 0 ? 0 : at + step]?.path ?? null;
  }

  /** An image cannot be shown; the next step goes on from there. @param {string} path */
  pass(path) {
    this._passed = path;
    this.unreadable.add(path);
    this._later();
  }

  reveal() {
    const at = this.items.findIndex((item) => item.path === this.state.picture?.path);
    const {scrollTop, clientHeight} = this.scroller;
    if (at >= 0 && (at * ROW < scrollTop || (at + 1) * ROW > scrollTop + clientHeight))
      this.scroller.scrollTop = at * ROW - clientHeight / 2;
    this._later();
  }

  _choose() {
    const wanted = this.filter.value, text = this.search.value.trim().toLowerCase();
    this.items = [...this.state.images.values()].filter((item) =>
      (wanted === 'all' || (wanted === 'objects' ? item.objects > 0 : (item.status ?? 'open') === wanted)) &&
      item.path.toLowerCase().includes(text));
    const done = [...this.state.images.values()].filter((item) => item.status === 'done').length;
    setText(byId('image-count'), `${done} of ${this.state.images.size} done`);
    this.list.style.height = `${this.items.length * ROW}px`;
    this._later();
  }

  _later() {
    if (!this._frame) this._frame = requestAnimationFrame(() => this._show());
  }

  _show() {
    this._frame = 0;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - 5);
    const last = Math.min(this.items.length, first + Math.ceil(this.scroller.clientHeight / ROW) + 10);
    const focused = document.activeElement?.getAttribute('data-path');
    this.list.replaceChildren(...this.items.slice(first, last).map((item, at) => this._row(item, first + at)));
    if (focused !== null && focused !== undefined) this._focus(focused);
  }

  /** @param {ImageItem} item @param {number} at */
  _row(item, at) {
    const here = item.path === this.state.picture?.path, status = item.status ?? 'open';
    const trouble = item.state !== 'present' ? item.state : this.unreadable.has(item.path) ? 'unreadable' : '';
    const row = element('li', {role: 'option', 'data-path': item.path, 'aria-selected': String(here), tabindex: here ? '0' : '-1',
      'aria-posinset': at + 1, 'aria-setsize': this.items.length, title: item.path,
      'aria-label': `${item.path}, ${status}, ${item.objects} objects${item.draft ? ', an object in work' : ''}${trouble && `, ${trouble}`}`,
      class: `${status}${trouble && ' gone'}`, onclick: () => this.open(item.path)},
      element('span', {class: 'status'}, SIGNS[status]), element('span', {class: 'name'}, item.path),
      element('span', {class: 'size'}, trouble || `${item.draft ? '✎ ' : ''}${item.objects || ''}`));
    row.style.top = `${at * ROW}px`;
    return row;
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const target = event.target instanceof HTMLElement ? event.target : null;
    const at = this.items.findIndex((item) => item.path === target?.getAttribute('data-path'));
    if (event.key === 'Enter' && at >= 0) this.open(this.items[at].path);
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step === undefined || !this.items[at + step]) return;
    event.preventDefault();
    this.scroller.scrollTop = Math.max(0, (at + step) * ROW - this.scroller.clientHeight / 2);
    this._show();
    this._focus(this.items[at + step].path);
  }

  /** @param {string} path */
  _focus(path) {
    for (const row of this.list.children) {
      if (row instanceof HTMLElement && row.getAttribute('data-path') === path) {
        setAttribute(row, 'tabindex', '0');
        row.focus({preventScroll: true});
      }
    }
  }
}
