// @ts-check
import {rasterised} from './masks.js';
/**
 * @typedef {import('./masks.js').Mask} Mask
 * @typedef {import('./types.js').Box} Box
 * @typedef {import('./types.js').Prompt} Prompt
 * @typedef {import('./view.js').View} View
 * @typedef {import('./state.js').State} State
 * @typedef {{canvas: HTMLCanvasElement, key: string, clip: Box, whole: boolean, mask: Mask}} Drawn
 */

const POSITIVE = '#00c853';
const NEGATIVE = '#ff1744';
const FULL = 0x01010101;

/** Draws the image, the masks and the prompts on three canvases that lie on each other. */
export class Renderer {
  /**
   * @param {{photo: HTMLCanvasElement, masks: HTMLCanvasElement, marks: HTMLCanvasElement}} layers
   * @param {State} state @param {View} view @param {import('./pyramid.js').Pyramid} pyramid
   */
  constructor(layers, state, view, pyramid) {
    this.layers = layers;
    this.state = state;
    this.view = view;
    this.pyramid = pyramid;
    this.ratio = 1;
    this.opacity = 0.4;
    this.hidden = false;
    this.outlineOnly = false;
    /** @type {(context: CanvasRenderingContext2D) => void} */
    this.drawGesture = () => {};
    /** @type {Map<string, Drawn>} */
    this._drawn = new Map();
    this._waiting = new Set(['photo', 'masks', 'marks']);
    this._frame = 0;
    this.painted = 0;
    view.addEventListener('change', () => this.redraw('photo', 'masks', 'marks'));
    pyramid.addEventListener('change', () => this.redraw('photo'));
    new ResizeObserver(() => this._resize()).observe(layers.photo);
  }

  /** @param {...string} layers that no longer show how things are */
  redraw(...layers) {
    for (const layer of layers) this._waiting.add(layer);
    if (!this._frame) this._frame = requestAnimationFrame(() => this._paint());
  }

  _resize() {
    this.ratio = window.devicePixelRatio || 1;
    const box = this.layers.photo.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * this.ratio)), height = Math.max(1, Math.round(box.height * this.ratio));
    for (const canvas of Object.values(this.layers)) {
      canvas.width = width;
      canvas.height = height;
    }
    this.view.resize(width, height);
    this.redraw('photo', 'masks', 'marks');
  }

  _paint() {
    this._frame = 0;
    const waiting = this._waiting;
    this._waiting = new Set();
    if (waiting.has('photo')) this.pyramid.draw(cleared(this.layers.photo), this.view);
    if (waiting.has('masks')) this._paintMasks();
    if (waiting.has('marks')) this._paintMarks();
    this.painted++;
  }

  _paintMasks() {
    const context = cleared(this.layers.masks), {state} = this;
    const seen = new Set();
    if (!this.hidden) {
      for (const item of state.objects) {
        const mask = state.masks.get(item.id);
        if (!mask || !item.visible || item.id === state.draft.object) continue;
        seen.add(String(item.id));
        this._paintMask(context, String(item.id), mask, state.colour(item), item.id === state.selected);
      }
      seen.add('draft');
      this._paintMask(context, 'draft', state.draft.mask, state.draftColour, true);
    }
    for (const name of this._drawn.keys()) if (!seen.has(name)) this._drawn.delete(name);
  }

  /** @param {CanvasRenderingContext2D} context @param {string} name @param {Mask} mask @param {string} colour @param {boolean} strong */
  _paintMask(context, name, mask, colour, strong) {
    if (!mask.box) return;
    const {scale, x, y, width, height} = this.view;
    const [left, top, right, bottom] = mask.box;
    /** @type {Box} */
    const full = [Math.floor(left * scale) - 3, Math.floor(top * scale) - 3, Math.ceil(right * scale) + 3, Math.ceil(bottom * scale) + 3];
    /** @type {Box} */
    const seen = [Math.max(full[0], -x), Math.max(full[1], -y), Math.min(full[2], width - x), Math.min(full[3], height - y)];
    if (seen[0] >= seen[2] || seen[1] >= seen[3]) return;
    for (const clip of [full, seen]) clip[2] += -(clip[2] - clip[0]) & 3; // Whole words, see `_picture`.
    const key = [scale, colour, this.opacity, this.outlineOnly, strong, this.ratio].join();
    let drawn = this._drawn.get(name);
    const serves = drawn && drawn.mask === mask && drawn.key === key && (drawn.whole ||
      (drawn.clip[0] <= seen[0] && drawn.clip[1] <= seen[1] && drawn.clip[2] >= seen[2] && drawn.clip[3] >= seen[3]));
    if (!drawn || !serves) {
      const whole = full[2] - full[0] <= width * 1.5 && full[3] - full[1] <= height * 1.5;
      drawn = {canvas: this._picture(mask, whole ? full : seen, colour, strong), key, clip: whole ? full : seen, whole, mask};
      this._drawn.set(name, drawn);
    }
    context.drawImage(drawn.canvas, drawn.clip[0] + x, drawn.clip[1] + y);
  }

  /** @param {Mask} mask @param {Box} clip @param {string} colour @param {boolean} strong */
  _picture(mask, clip, colour, strong) {
    const width = clip[2] - clip[0], height = clip[3] - clip[1];
    const plane = rasterised(mask, this.view.scale, clip);
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const rgb = red | (green << 8) | (blue << 16);
    const tint = (rgb | (Math.round(255 * (this.outlineOnly ? 0 : this.opacity)) << 24)) >>> 0;
    const line = (rgb | (255 << 24)) >>> 0, shade = (110 << 24) >>> 0;
    const reach = Math.max(1, Math.round((strong ? 2 : 1) * this.ratio));
    // Most words of four pixels are deep inside or far outside: 7x sooner than to ask the neighbours of every pixel.
    const words = new Uint32Array(plane.buffer), across = width / 4, far = reach * across;
    // Reads beyond the plane are undefined, and so count as outside; at the left and right they would wrap around.
    for (let y = 0, at = 0; y < height; y++) {
      const middle = reach <= 4 && y >= reach && y < height - reach;
      for (let x = 0; x < width; x++, at++) {
        while (middle && !(x & 3) && x > 0 && x < width - 4) {
          const word = at >> 2, value = words[word];
          if (words[word - 1] !== value || words[word + 1] !== value || words[word - far] !== value || words[word + far] !== value) break;
          if (value === FULL) pixels[at] = pixels[at + 1] = pixels[at + 2] = pixels[at + 3] = tint;
          else if (value || words[word - across] || words[word + across]) break;
          x += 4;
          at += 4;
        }
        if (plane[at]) {
          const inner = (x < reach || plane[at - reach]) && (x >= width - reach || plane[at + reach]) &&
            (y < reach || plane[at - reach * width]) && (y >= height - reach || plane[at + reach * width]);
          pixels[at] = inner ? tint : line;
        } else if ((x > 0 && plane[at - 1]) || (x < width - 1 && plane[at + 1]) || plane[at - width] || plane[at + width]) {
          pixels[at] = shade;
        }
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  _paintMarks() {
    const context = cleared(this.layers.marks);
    const {prompts, pending} = this.state.draft;
    if (!this.hidden) {
      prompts.forEach((prompt, at) => this._paintPrompt(context, prompt, at >= prompts.length - pending));
    }
    this.drawGesture(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {Prompt} prompt @param {boolean} waits for its answer */
  _paintPrompt(context, prompt, waits) {
    context.save();
    context.globalAlpha = waits ? 0.75 : 1;
    if (prompt.type === 'click') {
      dot(context, ...this.view.toCanvas(prompt.x + 0.5, prompt.y + 0.5), 5 * this.ratio, prompt.positive, waits);
    } else if (prompt.type === 'box') {
      const [left, top] = this.view.toCanvas(prompt.left, prompt.top);
      const [right, bottom] = this.view.toCanvas(prompt.right + 1, prompt.bottom + 1);
      this.dashed(context, () => context.rect(left, top, right - left, bottom - top), '#ffffff');
    } else if (prompt.type === 'scribble') {
      this.line(context, prompt.points, Math.max(2 * prompt.radius * this.view.scale, 2), prompt.positive ? POSITIVE : NEGATIVE, 0.65);
    } else if (prompt.type === 'lasso') {
      this.dashed(context, () => this._path(context, prompt.points, true), prompt.positive ? POSITIVE : NEGATIVE);
    }
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {() => void} path @param {string} colour */
  dashed(context, path, colour) {
    context.lineWidth = 1.5 * this.ratio;
    for (const [dash, stroke] of /** @type {[number[], string][]} */ ([[[], 'rgba(0,0,0,.65)'], [[6 * this.ratio, 5 * this.ratio], colour]])) {
      context.setLineDash(dash);
      context.strokeStyle = stroke;
      context.beginPath();
      path();
      context.stroke();
    }
    context.setLineDash([]);
  }

  /** @param {CanvasRenderingContext2D} context @param {number[][]} points @param {number} width @param {string} colour @param {number} alpha */
  line(context, points, width, colour, alpha) {
    context.save();
    context.globalAlpha = alpha;
    context.lineCap = context.lineJoin = 'round';
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    this._path(context, points, false);
    context.stroke();
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {number[][]} points @param {boolean} closed */
  _path(context, points, closed) {
    points.forEach(([x, y], at) => {
      const [cx, cy] = this.view.toCanvas(x + 0.5, y + 0.5);
      if (at) context.lineTo(cx, cy);
      else context.moveTo(cx, cy);
    });
    if (closed) context.closePath();
    else if (points.length === 1) context.lineTo(...this.view.toCanvas(points[0][0] + 0.51, points[0][1] + 0.5));
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius @param {boolean} positive @param {boolean} hollow */
function dot(context, x, y, radius, positive, hollow) {
  context.lineWidth = radius * 0.4;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = positive ? POSITIVE : NEGATIVE;
  context.strokeStyle = '#ffffff';
  if (hollow) context.globalAlpha = 0.6;
  context.fill();
  context.stroke();
  context.beginPath();
  context.moveTo(x - radius * 0.5, y);
  context.lineTo(x + radius * 0.5, y);
  if (positive) {
    context.moveTo(x, y - radius * 0.5);
    context.lineTo(x, y + radius * 0.5);
  }
  context.lineWidth = radius * 0.32;
  context.stroke();
}

/** @param {HTMLCanvasElement} canvas */
function cleared(canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

export {NEGATIVE, POSITIVE};
