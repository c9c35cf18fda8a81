// @ts-check
import {Renderer} from './canvas.js';
import {commands} from './commands.js';
import {byId, setText} from './dom.js';
import {Export} from './export.js';
import {Help} from './help.js';
import {ImageList} from './images.js';
import {Keys} from './keys.js';
import {LabelList} from './labels.js';
import {ObjectList} from './objects.js';
import {Pyramid} from './pyramid.js';
import {Connection} from './socket.js';
import {State} from './state.js';
import {Status} from './status.js';
import {Tools} from './tools.js';
import {View} from './view.js';

const MOST_TRIES = 50;

/** The page: its parts, and what connects them. */
export class Page {
  constructor() {
    this.connection = new Connection(new URLSearchParams(location.search).get('token') ?? '');
    this.state = new State();
    this.view = new View();
    this.pyramid = new Pyramid(this.connection);
    const layer = (/** @type {string} */ id) => /** @type {HTMLCanvasElement} */ (byId(id));
    const layers = {photo: layer('photo'), masks: layer('masks'), marks: layer('marks')};
    this.renderer = new Renderer(layers, this.state, this.view, this.pyramid);
    this.tools = new Tools(layers.marks, this.view, this.renderer, (prompt) => this.act('prompt', {prompt}));
    this.objects = new ObjectList(this.state, (type, values) => this.act(type, values), (id) => this.zoomTo(id));
    this.labels = new LabelList(this.state, (type, values) => this.act(type, values), (id) => this.useLabel(id));
    this.images = new ImageList(this.state, (path) => this.open(path));
    this.status = new Status(this);
    this.keys = new Keys(commands(this));
    this.help = new Help(this.keys);
    /** @type {[import('./masks.js').Mask, number|null, string]|null} */
    this._drawn = null;
    this.export = new Export(this);
    this._listen();
  }

  /**
   * Have the server do something; where it refuses, the person is told.
   * @param {string} type @param {Object} values @returns {Promise<boolean>} whether it happened
   */
  async act(type, values = {}) {
    try {
      const path = type === 'labels' ? undefined : this.state.picture?.path;
      await this.connection.move(type, {path, ...values});
      this.status.calm();
      return true;
    } catch (error) {
      this.status.say(error instanceof Error ? error.message : String(error), true);
      return false;
    }
  }

  /** @param {string} path */
  async open(path) {
    if (path !== this.state.picture?.path && await this._open(path)) this.status.calm();
  }

  /** @param {string} path @returns {Promise<boolean>} whether it is shown */
  async _open(path) {
    const {progress} = this.state;
    try {
      await this.connection.move('open', {path});
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // The file was changed since; the person decides.
      if (why.includes('accept the new one') && confirm(`${why}\n\nTake the new file as this image?`)) return this.act('open', {path, accept: true});
      this.status.say(why, true);
      if (this.connection.open) this.images.pass(path);
      if (this.state.progress.stage === 'read') this.state.setProgress(progress);
      return false;
    }
  }

  /** @param {number} id */
  useLabel(id) {
    const {draft, selected} = this.state;
    if (!draft.working && selected !== null) this.act('edit', {object: selected, values: {label: id}});
    this.act('label', {label: id});
  }

  /** Bring the object in work, or the chosen one, close. @param {number|null} id */
  zoomTo(id = null) {
    const {draft, selected, masks} = this.state;
    const mask = id !== null ? masks.get(id) : draft.mask.box ? draft.mask : masks.get(selected ?? -1);
    if (mask?.box) this.view.fitBox(mask.box);
  }

  /** @param {'done'|'skipped'} status */
  async finish(status) {
    if (await this.act('commit', {status}) && !this.images.step(1)) this.status.say('That was the last image of the list.');
  }

  _listen() {
    const {connection, state} = this;
    connection.addEventListener('message', (event) => {
      const {message, payload} = /** @type {CustomEvent} */ (event).detail;
      if (message.type === 'problem') this.status.say(message.why, true);
      if (message.type === 'hello') this._arrive(message.first);
      state.receive(message, payload);
    });
    state.addEventListener('picture', () => this._show());
    state.addEventListener('draft', () => this._showDraft());
    state.addEventListener('objects', () => this.renderer.redraw('masks'));
    state.addEventListener('labels', () => this.renderer.redraw('masks'));
  }

  /** @param {string|null} first */
  async _arrive(first) {
    const wanted = this.state.picture?.path ?? decodeURIComponent(location.hash.slice(1)) ?? '';
    this.status.say('');
    const shown = (wanted && await this._open(wanted)) || (first && first !== wanted && await this._open(first));
    const answer = await listed(this.connection);
    if (answer) this.state.setImages(answer);
    this.images.reveal();
    if (!shown && !this.state.picture) await this._openAny();
  }

  /** The image to begin with cannot be read: look for one that can. */
  async _openAny() {
    if (!this.state.images.size) this.status.say('There are no images in this folder; put some there and reload the page.', true);
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const path = this.images.neighbour(1);
      if (path === null || await this._open(path)) return;
    }
  }

  /** An answer that only says that a click waits leaves the masks as they are: the network needs the cores now. */
  _showDraft() {
    const {draft, draftColour} = this.state, [mask, object, colour] = this._drawn ?? [];
    this._drawn = [draft.mask, draft.object, draftColour];
    const same = mask === draft.mask && object === draft.object && colour === draftColour;
    this.renderer.redraw('marks', ...(same ? [] : ['masks']));
  }

  _show() {
    const {picture} = this.state;
    if (!picture) return;
    history.replaceState(null, '', `${location.pathname}${location.search}#${encodeURIComponent(picture.path)}`);
    document.title = `${picture.path} – ${this.state.project}`;
    setText(byId('title'), picture.path);
    const same = this._shown === `${picture.path} ${picture.key}`;
    this._shown = `${picture.path} ${picture.key}`;
    this.pyramid.show(picture);
    if (!same) this.view.show(picture.width, picture.height);
    this.renderer.redraw('photo', 'masks', 'marks');
  }
}

/** @param {Connection} connection @returns {Promise<import('./types.js').ImageItem[]|null>} */
async function listed(connection) {
  try {
    const answer = await connection.fetch('/api/v1/images');
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** @type {any} */ (window).annotator = new Page();
