// @ts-check
import {byId, element, icon, setAttribute, setText} from './dom.js';
/**
 * @typedef {import('./state.js').State} State
 * @typedef {import('./types.js').ObjectView} ObjectView
 * @typedef {(type: string, values?: Object) => void} Do
 */

/** The list of objects, the frontmost first. */
export class ObjectList {
  /** @param {State} state @param {Do} act @param {(id: number) => void} look */
  constructor(state, act, look) {
    this.state = state;
    this.act = act;
    this.look = look;
    this.list = byId('objects');
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    state.addEventListener('objects', () => this.show());
    state.addEventListener('draft', () => this.show());
    this.list.addEventListener('keydown', (event) => this._key(event));
  }

  show() {
    const {state} = this, objects = [...state.objects].reverse();
    setText(byId('object-count'), String(objects.length));
    byId('no-objects').hidden = objects.length > 0;
    for (const [id, row] of this.rows) {
      if (objects.some((item) => item.id === id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    objects.forEach((item, at) => {
      const row = this.rows.get(item.id) ?? this._make(item.id);
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
      this._update(row, item);
    });
  }

  /** @param {number} step */
  selectNext(step) {
    const ids = [...this.state.objects].reverse().map((item) => item.id);
    if (!ids.length) return;
    const at = this.state.selected === null ? (step > 0 ? -1 : 0) : ids.indexOf(this.state.selected);
    this.state.select(ids[(at + step + ids.length) % ids.length]);
  }

  /** @param {number} id @param {number} step towards the front */
  raise(id, step) {
    const order = this.state.objects.map((item) => item.id), at = order.indexOf(id), to = at + step;
    if (at < 0 || to < 0 || to >= order.length) return;
    order.splice(at, 1);
    order.splice(to, 0, id);
    this.act('order', {objects: order});
  }

  /** @param {number} id */
  item(id) {
    return this.state.objects.find((one) => one.id === id);
  }

  /** @param {number} id @returns {HTMLElement} */
  _make(id) {
    const button = (/** @type {string} */ name, /** @type {string} */ text, /** @type {() => void} */ run) =>
      element('button', {type: 'button', class: `small ${name}`, title: text, 'aria-label': text,
        onclick: (/** @type {Event} */ event) => { event.stopPropagation(); run(); }}, icon(name));
    const toggle = (/** @type {'visible'|'locked'} */ what) => {
      const item = this.item(id);
      if (item) this.act('edit', {object: id, values: {[what]: !item[what]}});
    };
    const row = element('li', {role: 'option', tabindex: '-1', 'data-object': id,
      onclick: () => this.state.select(this.state.selected === id ? null : id), ondblclick: () => this.look(id)},
      element('span', {class: 'swatch'}), element('span', {class: 'name'}), element('span', {class: 'size'}),
      element('span', {class: 'actions'},
        button('refine', 'Refine with more clicks (R)', () => this.act('reopen', {object: id})),
        button('up', 'To the front', () => this.raise(id, 1)), button('down', 'To the back', () => this.raise(id, -1)),
        button('remove', 'Remove (Delete)', () => this.act('remove', {object: id}))),
      button('eye', 'Show or hide', () => toggle('visible')), button('lock', 'Lock or unlock', () => toggle('locked')));
    this.rows.set(id, row);
    return row;
  }

  /** @param {HTMLElement} row @param {ObjectView} item */
  _update(row, item) {
    const {state} = this, chosen = state.selected === item.id;
    const name = state.label(item.label)?.name ?? 'no label';
    const [swatch, label, size] = /** @type {HTMLElement[]} */ ([...row.children]);
    swatch.style.backgroundColor = state.colour(item);
    setText(label, `${name} ${item.id}`);
    setText(size, `${item.area.toLocaleString()} px`);
    setAttribute(row, 'aria-selected', String(chosen));
    setAttribute(row, 'tabindex', chosen || (state.selected === null && row === this.list.firstElementChild) ? '0' : '-1');
    row.classList.toggle('hidden-object', !item.visible);
    row.classList.toggle('locked', item.locked);
    row.classList.toggle('in-work', state.draft.object === item.id);
    setAttribute(row, 'aria-label', `${name} ${item.id}, ${item.area} pixels${item.visible ? '' : ', hidden'}${item.locked ? ', locked' : ''}`);
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step === undefined) return;
    event.preventDefault();
    if (event.altKey && this.state.selected !== null) this.raise(this.state.selected, -step);
    else this.selectNext(step);
    this.rows.get(this.state.selected ?? -1)?.focus();
  }
}
