// @ts-check
import {Mask, patched, readRuns} from './masks.js';

/**
 * @typedef {import('./types.js').Label} Label
 * @typedef {import('./types.js').ObjectView} ObjectView
 * @typedef {import('./types.js').ImageItem} ImageItem
 * @typedef {import('./types.js').Prompt} Prompt
 * @typedef {import('./types.js').WireMask} WireMask
 * @typedef {import('./types.js').DraftView} DraftView
 * @typedef {{path: string, key: string, width: number, height: number, tile: number, levels: number, size: number, status: string}} Picture
 * @typedef {{object: number|null, label: number|null, working: boolean, prompts: Prompt[], undone: number, mask: Mask,
 *   pending: number, score: number, area: number, fine: boolean, seconds: number, waited: number, elapsed: number,
 *   kept: boolean}} Draft
 */

// A mask that comes this soon, in milliseconds, is all there is to show. Painting first that it is awaited would take
// the cores from the network, and the eye sees no difference.
const SOON = 120;

const PALETTE = ['#1e90ff', '#ff7f0e', '#2ca02c', '#d62790', '#9467bd', '#00b3b3', '#e6b800', '#e6194b', '#7a9e00', '#a0522d'];

/** @returns {Draft} */
function noDraft() {
  return {
    object: null, label: null, working: false, prompts: [], undone: 0, mask: new Mask(),
    pending: 0, score: 0, area: 0, fine: false, seconds: 0, waited: 0, elapsed: 0, kept: true,
  };
}

/** What the page knows. The server has the truth; this only changes by its messages, and tells who listens. */
export class State extends EventTarget {
  constructor() {
    super();
    this.project = '';
    /** @type {Label[]} */
    this.labels = [];
    /** @type {Map<string, ImageItem>} */
    this.images = new Map();
    /** @type {Picture|null} */
    this.picture = null;
    /** @type {ObjectView[]} */
    this.objects = [];
    /** @type {Map<number, Mask>} */
    this.masks = new Map();
    this.draft = noDraft();
    /** @type {number|null} */
    this.selected = null;
    this.history = [0, 0];
    this.progress = {stage: 'load', share: 0};
    /** @type {number|undefined} */
    this._later = undefined;
  }

  /** @param {any} message @param {Uint8Array} payload */
  receive(message, payload) {
    switch (message.type) {
      case 'hello':
        this.project = message.project;
        this.labels = message.labels;
        this._tell('labels');
        if (message.ready && !this.picture) this.setProgress({stage: 'ready', share: 1});
        break;
      case 'image':
        this.picture = message;
        this.objects = message.objects;
        this.masks = new Map();
        this.draft = noDraft();
        this.history = [0, 0];
        this.selected = null;
        clearTimeout(this._later);
        this._takeDraft(message.draft);
        this.draft.kept = message.kept;
        this._takeMasks(message.masks, payload);
        this._tell('picture');
        this._tell('objects');
        break;
      case 'answer':
        if (message.path !== this.picture?.path) break;
        this._takeDraft(message.draft);
        Object.assign(this.draft, {
          pending: message.pending, score: message.score, area: message.area, fine: message.fine,
          seconds: message.seconds, waited: message.waited, elapsed: message.elapsed, kept: message.kept,
        });
        this.history = message.history;
        this._takeMasks(message.masks, payload);
        clearTimeout(this._later);
        if (message.pending && this.progress.stage === 'ready') this._later = setTimeout(() => this._tell('draft'), SOON);
        else this._tell('draft');
        break;
      case 'objects':
        if (message.path !== this.picture?.path) break;
        this.objects = message.objects;
        if (this.picture) this.picture.status = message.status;
        this.history = message.history;
        for (const id of this.masks.keys()) if (!this.objects.some((item) => item.id === id)) this.masks.delete(id);
        if (!this.objects.some((item) => item.id === this.selected)) this.selected = null;
        this._takeMasks(message.masks, payload);
        this._tell('objects');
        break;
      case 'labels':
        this.labels = message.labels;
        this._tell('labels');
        this._tell('objects');
        break;
      case 'overview':
        this.images.set(message.path, message);
        this._tell('images');
        break;
      case 'progress':
        if (message.path && this.picture && message.path !== this.picture.path && message.stage !== 'read') break;
        this.setProgress(message);
        break;
    }
  }

  /** @param {ImageItem[]} items */
  setImages(items) {
    this.images = new Map(items.map((item) => [item.path, item]));
    this._tell('images');
  }

  /** @param {{stage: string, share: number}} progress */
  setProgress(progress) {
    this.progress = progress;
    this._tell('progress');
  }

  /** @param {number|null} id */
  select(id) {
    this.selected = id;
    this._tell('objects');
  }

  /** @param {number|null} id of a label */
  label(id) {
    return this.labels.find((label) => label.id === id) ?? null;
  }

  /** @param {{id: number, label: number|null}} item */
  colour(item) {
    return this.label(item.label)?.colour ?? PALETTE[item.id % PALETTE.length];
  }

  get draftColour() {
    return this.label(this.draft.label)?.colour ?? '#ffd500';
  }

  /** @param {DraftView} view */
  _takeDraft(view) {
    this.draft.object = view.object;
    this.draft.label = view.label;
    this.draft.working = view.working;
    this.draft.undone = view.undone;
    this.draft.prompts = [...this.draft.prompts.slice(0, view.keep), ...view.add];
  }

  /** @param {WireMask[]} wire @param {Uint8Array} payload */
  _takeMasks(wire, payload) {
    let at = 0;
    for (const {object, fresh, box, bytes} of wire) {
      const part = box ? readRuns(payload.subarray(at, at + bytes), box) : new Mask();
      at += bytes;
      if (object !== null) this.masks.set(object, part);
      else this.draft.mask = fresh || !box ? part : patched(this.draft.mask, box, part);
    }
  }

  /** @param {string} name */
  _tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
