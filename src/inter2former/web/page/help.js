// @ts-check
import {byId, element} from './dom.js';
import {keyName} from './keys.js';
/** @typedef {import('./keys.js').Keys} Keys */

const MOUSE = [
  ['Left click', 'This is part of the object'],
  ['Right click, Shift+click', 'This is not'],
  ['Drag', 'A box around the object; with the other tools a line'],
  ['Wheel, pinch', 'Zoom where the pointer is'],
  ['Space+drag, middle drag, two fingers', 'Move the image'],
  ['Alt+wheel', 'Size of the brush'],
];

/** The dialogue with all shortcuts; a click on a key gives the command another one. */
export class Help {
  /** @param {Keys} keys */
  constructor(keys) {
    this.keys = keys;
    this.dialog = /** @type {HTMLDialogElement} */ (byId('help'));
    byId('help-close').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  show() {
    this._fill();
    this.dialog.showModal();
  }

  _fill() {
    const groups = new Map([['Mouse and touch', MOUSE.map(([key, text]) => row([element('kbd', {}, key)], text))]]);
    for (const command of this.keys.commands) {
      const rows = groups.get(command.group) ?? [];
      const keys = this.keys.keysOf(command).map((key) =>
        element('button', {type: 'button', class: 'key', title: 'Give it another key',
          onclick: (/** @type {Event} */ event) => this._ask(/** @type {HTMLElement} */ (event.currentTarget), command.id)}, key));
      rows.push(row(keys, command.text));
      groups.set(command.group, rows);
    }
    byId('help-keys').replaceChildren(...[...groups].map(([name, rows]) =>
      element('section', {}, element('h3', {}, name), element('dl', {}, ...rows))));
  }

  /** @param {HTMLElement} button @param {string} id */
  _ask(button, id) {
    button.textContent = 'press a key';
    button.classList.add('asking');
    const listen = (/** @type {KeyboardEvent} */ event) => {
      if (['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
      document.removeEventListener('keydown', listen, true);
      if (event.key === 'Backspace') this.keys.change(id, null);
      else if (event.key !== 'Escape') this.keys.change(id, keyName(event));
      this._fill();
    };
    document.addEventListener('keydown', listen, true);
  }
}

/** @param {HTMLElement[]} keys @param {string} text */
function row(keys, text) {
  return element('div', {}, element('dt', {}, ...keys), element('dd', {}, text));
}
