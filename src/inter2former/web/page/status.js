// @ts-check
import {byId, setAttribute, setText} from './dom.js';
import {labelName} from './labels.js';
/** @typedef {import('./main.js').Page} Page */

const THEME = 'inter2former.theme';
// How long what is saved may be told late, in milliseconds: not while the cores are busy with a click.
const LATE = 250;
const STAGES = /** @type {Record<string, string>} */ ({
  load: 'Loading the network', read: 'Reading the image', wait: 'Waiting for the network', resize: 'Preparing the image',
  embed: 'Encoding the image', ready: 'Ready',
});

/** What the page says around the image: progress, what is saved, figures, and what a screen reader hears. */
export class Status {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this._spoken = '';
    this._savedAt = '';
    /** @type {number|undefined} */
    this._saving = undefined;
    const {state, connection, tools, view} = page;
    for (const name of ['draft', 'picture', 'objects', 'progress']) state.addEventListener(name, () => this.show());
    tools.addEventListener('change', () => this._pointer());
    view.addEventListener('change', () => this._pointer());
    connection.addEventListener('moves', (event) => {
      if (/** @type {CustomEvent} */ (event).detail.saved) this._savedAt = new Date().toLocaleTimeString();
      this._saving ??= setTimeout(() => this._showSaved(), LATE);
    });
    connection.addEventListener('lost', () => this._lost());
    connection.addEventListener('outdated', () => this.say('The server is of another version; reload the page.', true));
    for (const button of document.querySelectorAll('[data-command]')) {
      button.addEventListener('click', () => page.keys.commands.find((one) => one.id === button.getAttribute('data-command'))?.run());
    }
    this._opacity();
    const theme = localStorage.getItem(THEME);
    if (theme) document.documentElement.dataset.theme = theme;
  }

  /** Tell the person something. @param {string} text @param {boolean} wrong */
  say(text, wrong = false) {
    const line = byId('message');
    setText(line, text);
    line.classList.toggle('wrong', wrong);
    line.hidden = !text;
    clearTimeout(this._timer);
    if (text && !wrong) this._timer = setTimeout(() => this.say(''), 4000);
  }

  /** Something went well: what went wrong before is history. */
  calm() {
    if (byId('message').classList.contains('wrong')) this.say('');
  }

  show() {
    const {state, tools, renderer} = this.page, {draft} = state;
    const busy = draft.pending > 0, ready = state.progress.stage === 'ready';
    const bar = /** @type {HTMLProgressElement} */ (byId('progress'));
    byId('progress-box').hidden = ready;
    if (!ready) {
      if (state.progress.share > 0) bar.value = state.progress.share;
      else bar.removeAttribute('value');
      const waiting = draft.pending ? ` – ${draft.pending} ${draft.pending === 1 ? 'click waits' : 'clicks wait'}` : '';
      setText(byId('progress-text'), (STAGES[state.progress.stage] ?? '') + waiting);
    }
    byId('stage').classList.toggle('busy', busy && ready);
    const size = `${draft.area.toLocaleString()} px`;
    const figures = !draft.working ? '' : busy ? 'computing …' :
      `${size}${draft.score ? ` · certainty ${Math.round(draft.score * 100)} %` : ''}${draft.seconds ? ` · ${Math.round(draft.seconds * 1000)} ms` : ''}${draft.fine ? ' · full resolution' : ''}`;
    setText(byId('figures'), figures);
    setText(byId('work'), draft.working ? `${draft.object === null ? 'New object' : `Object ${draft.object}`}: ${labelName(state, draft.label)}` : '');
    this._enable('commit', draft.prompts.length > 0);
    this._enable('cancel', draft.working);
    this._enable('undo', draft.prompts.length > 0 || state.history[0] > 0);
    this._enable('redo', draft.undone > 0 || state.history[1] > 0);
    for (const button of document.querySelectorAll('[data-tool]')) setAttribute(/** @type {HTMLElement} */ (button), 'aria-pressed', String(button.getAttribute('data-tool') === tools.tool));
    setAttribute(byId('sign'), 'aria-pressed', String(tools.negative));
    setAttribute(byId('hide'), 'aria-pressed', String(renderer.hidden));
    setAttribute(byId('outline'), 'aria-pressed', String(renderer.outlineOnly));
    setAttribute(byId('image-done'), 'aria-pressed', String(state.picture?.status === 'done'));
    /** @type {HTMLInputElement} */ (byId('opacity')).value = String(renderer.opacity);
    if (!busy) this._speak(draft.working ? `${draft.prompts.length} prompts, mask of ${size}` : `${state.objects.length} objects`);
  }

  toggleTheme() {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
    document.documentElement.dataset.theme = now === 'dark' ? 'light' : 'dark';
    localStorage.setItem(THEME, document.documentElement.dataset.theme);
  }

  _opacity() {
    const slider = /** @type {HTMLInputElement} */ (byId('opacity')), {renderer} = this.page;
    slider.addEventListener('input', () => {
      renderer.opacity = Number(slider.value);
      renderer.redraw('masks');
    });
  }

  /** @param {string} command @param {boolean} possible */
  _enable(command, possible) {
    for (const button of document.querySelectorAll(`[data-command="${command}"]`)) /** @type {HTMLButtonElement} */ (button).disabled = !possible;
  }

  _pointer() {
    const {tools, view, renderer} = this.page;
    const at = tools.crosshair ?? tools.cursor;
    const inside = at && at[0] >= 0 && at[1] >= 0 && at[0] < view.imageWidth && at[1] < view.imageHeight;
    setText(byId('position'), at && inside ? `${Math.floor(at[0])}, ${Math.floor(at[1])}` : '');
    setText(byId('zoom'), this.page.state.picture ? `${Math.round((view.scale / renderer.ratio) * 100)} %` : '');
    byId('stage').dataset.tool = tools.tool;
    byId('stage').classList.toggle('negative', tools.negative);
    if (this._tool !== `${tools.tool} ${tools.negative}`) {
      this._tool = `${tools.tool} ${tools.negative}`;
      this.show();
    }
  }

  _showSaved() {
    const {connection, state} = this.page, line = byId('saved');
    this._saving = undefined;
    line.classList.remove('wrong');
    if (connection.unsaved) setText(line, 'saving …');
    else if (!state.draft.kept && state.draft.working) {
      setText(line, 'kept at commit only: another page works on this image');
      line.classList.add('wrong');
    } else setText(line, this._savedAt ? `saved ${this._savedAt}` : '');
  }

  _lost() {
    const line = byId('saved');
    clearTimeout(this._saving);
    this._saving = undefined;
    setText(line, 'not connected');
    line.classList.add('wrong');
    this.say('The server does not answer; trying again. If it was started anew, open the address that it printed.', true);
  }

  /** @param {string} text */
  _speak(text) {
    if (text === this._spoken) return;
    this._spoken = text;
    setText(byId('live'), text);
  }
}
