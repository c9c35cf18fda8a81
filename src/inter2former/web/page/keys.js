// @ts-check
/**
 * @typedef {{id: string, keys: string[], text: string, group: string, run: () => void, up?: () => void, repeat?: boolean}} Command
 */

const STORE = 'inter2former.keys';

/** Shortcuts: which key does what. A person may give a command another key; it is kept in the browser. */
export class Keys {
  /** @param {Command[]} commands */
  constructor(commands) {
    this.commands = commands;
    /** @type {Record<string, string>} */
    this.changed = stored();
    /** @type {Map<string, Command>} */
    this._down = new Map();
    document.addEventListener('keydown', (event) => this._press(event));
    document.addEventListener('keyup', (event) => this._release(event));
    window.addEventListener('blur', () => this._releaseAll());
  }

  /** @param {Command} command @returns {string[]} */
  keysOf(command) {
    const own = this.changed[command.id];
    return own ? [own] : command.keys;
  }

  /** @param {string} id of a command @param {string|null} key null: as it was */
  change(id, key) {
    if (key === null) delete this.changed[id];
    else this.changed[id] = key;
    localStorage.setItem(STORE, JSON.stringify(this.changed));
  }

  /** @param {KeyboardEvent} event */
  _press(event) {
    if (typing(event) || event.isComposing) return;
    const key = keyName(event);
    const command = this.commands.find((one) => this.keysOf(one).includes(key));
    if (!command || document.querySelector('dialog[open]')) return;
    // Buttons and lists keep the keys that operate them.
    if ((key === 'Enter' || key === 'Space') && operates(event.target)) return;
    if (key.startsWith('Arrow') && !isCanvas(event.target)) return;
    event.preventDefault();
    if (event.repeat && !command.repeat) return;
    this._down.set(event.code, command);
    command.run();
  }

  /** @param {KeyboardEvent} event */
  _release(event) {
    this._down.get(event.code)?.up?.();
    this._down.delete(event.code);
  }

  _releaseAll() {
    for (const command of this._down.values()) command.up?.();
    this._down.clear();
  }
}

/** @param {KeyboardEvent} event @returns {string} such as "Ctrl+Shift+Z" */
export function keyName(event) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push('Ctrl');
  if (event.altKey) parts.push('Alt');
  const letter = /^[a-z]$/i.test(event.key);
  const key = event.key === ' ' ? 'Space' : letter ? event.key.toUpperCase() : event.key;
  // Of signs the shifted one is meant already: "?" is not "Shift+?".
  if (event.shiftKey && (letter || event.key.length > 1 || event.key === ' ')) parts.push('Shift');
  return [...parts, key].join('+');
}

/** @param {KeyboardEvent} event */
function typing(event) {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || target instanceof HTMLSelectElement ||
    target instanceof HTMLTextAreaElement ||
    (target instanceof HTMLInputElement && !['checkbox', 'range', 'button', 'color'].includes(target.type)));
}

/** @param {EventTarget|null} target */
function operates(target) {
  return target instanceof HTMLButtonElement || target instanceof HTMLInputElement ||
    (target instanceof HTMLElement && target.getAttribute('role') === 'option');
}

/** @param {EventTarget|null} target */
function isCanvas(target) {
  return target === document.body || target instanceof HTMLCanvasElement;
}

/** @returns {Record<string, string>} */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? '{}') ?? {};
  } catch {
    return {};
  }
}
