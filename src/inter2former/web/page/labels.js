// @ts-check
import {byId, element, icon} from './dom.js';
/** @typedef {import('./state.js').State} State */

const COLOURS = ['#1e90ff', '#ff7f0e', '#2ca02c', '#d62790', '#9467bd', '#00b3b3', '#e6b800', '#e6194b', '#7a9e00'];

/** The labels with their keys 1 to 9; the marked one is that of the object in work, or of the next. */
export class LabelList {
  /** @param {State} state @param {(type: string, values?: Object) => Promise<boolean>} act @param {(id: number) => void} choose */
  constructor(state, act, choose) {
    this.state = state;
    this.act = act;
    this.choose = choose;
    this.list = byId('labels');
    const form = /** @type {HTMLFormElement} */ (byId('new-label'));
    form.addEventListener('submit', (event) => this._add(event, form));
    state.addEventListener('labels', () => this.show());
    state.addEventListener('draft', () => this._mark());
  }

  show() {
    this.list.replaceChildren(...this.state.labels.map((label, at) => this._row(label, at)));
    byId('no-labels').hidden = this.state.labels.length > 0;
    this._mark();
  }

  /** @param {import('./types.js').Label} label @param {number} at */
  _row(label, at) {
    const change = (/** @type {Object} */ values) => this._send(this.state.labels.map((one) => (one.id === label.id ? {...one, ...values} : one)));
    const name = element('button', {type: 'button', class: 'name', title: 'Use this label; double-click renames it',
      onclick: () => this.choose(label.id), ondblclick: () => this._rename(name, label.name, (text) => change({name: text}))}, label.name);
    return element('li', {'data-label': label.id},
      element('input', {type: 'color', value: label.colour, 'aria-label': `Colour of ${label.name}`,
        onchange: (/** @type {Event} */ event) => change({colour: /** @type {HTMLInputElement} */ (event.target).value})}),
      name, element('kbd', {}, at < 9 ? String(at + 1) : ''),
      element('button', {type: 'button', class: 'small', title: 'Remove the label', 'aria-label': `Remove the label ${label.name}`,
        onclick: () => this._send(this.state.labels.filter((one) => one.id !== label.id))}, icon('remove')));
  }

  _mark() {
    for (const row of this.list.children) {
      const chosen = Number(row.getAttribute('data-label')) === this.state.draft.label;
      row.classList.toggle('chosen', chosen);
      row.querySelector('.name')?.setAttribute('aria-pressed', String(chosen));
    }
  }

  /** @param {HTMLElement} name @param {string} before @param {(text: string) => void} done */
  _rename(name, before, done) {
    const input = element('input', {value: before, class: 'name', 'aria-label': 'New name'});
    let over = false;
    const end = (/** @type {boolean} */ keep) => {
      if (over) return;
      over = true;
      const text = input.value.trim();
      input.replaceWith(name);
      if (keep && text && text !== before) done(text);
    };
    input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') end(true);
      if (event.key === 'Escape') end(false);
    });
    input.addEventListener('blur', () => end(true));
    name.replaceWith(input);
    input.select();
  }

  /** @param {SubmitEvent} event @param {HTMLFormElement} form */
  async _add(event, form) {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (form.elements.namedItem('name'));
    const text = input.value.trim();
    if (!text) return;
    const colour = COLOURS[this.state.labels.length % COLOURS.length];
    if (await this._send([...this.state.labels, {id: null, name: text, colour}])) {
      input.value = '';
      const made = this.state.labels.find((label) => label.name === text);
      if (made) this.choose(made.id);
    }
  }

  /** @param {Object[]} labels */
  _send(labels) {
    return this.act('labels', {labels});
  }
}

/** @param {State} state @param {number|null} id */
export function labelName(state, id) {
  return state.label(id)?.name ?? 'no label';
}

