// @ts-check
import {NEGATIVE, POSITIVE} from './canvas.js';
/**
 * @typedef {import('./view.js').View} View
 * @typedef {import('./canvas.js').Renderer} Renderer
 * @typedef {import('./types.js').Prompt} Prompt
 * @typedef {'click'|'scribble'|'lasso'|'brush'|'eraser'} Tool
 * @typedef {{kind: 'draw'|'pan', pointer: number, positive: boolean, points: number[][], from: number[], last: number[], moved: boolean}} Gesture
 */

const DRAG = 5;
const SCRIBBLE_RADIUS = 3;

/** What mouse, pen and finger do on the canvas: prompts, panning, zooming. */
export class Tools extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas @param {View} view @param {Renderer} renderer
   * @param {(prompt: Prompt) => void} give
   */
  constructor(canvas, view, renderer, give) {
    super();
    this.canvas = canvas;
    this.view = view;
    this.renderer = renderer;
    this.give = give;
    /** @type {Tool} */
    this.tool = 'click';
    this.negative = false;
    this.brush = 12;
    this.panning = false;
    /** @type {[number, number]|null} */
    this.cursor = null;
    /** @type {number[]|null} */
    this.crosshair = null;
    /** @type {Gesture|null} */
    this._gesture = null;
    this._shown = false;
    /** @type {Map<number, number[]>} */
    this._fingers = new Map();
    renderer.drawGesture = (context) => this._draw(context);
    canvas.addEventListener('pointerdown', (event) => this._down(event));
    canvas.addEventListener('pointermove', (event) => this._move(event));
    canvas.addEventListener('pointerup', (event) => this._up(event));
    canvas.addEventListener('pointercancel', (event) => this._cancel(event));
    canvas.addEventListener('pointerleave', () => this._leave());
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    canvas.addEventListener('wheel', (event) => this._wheel(event), {passive: false});
    canvas.addEventListener('auxclick', (event) => event.preventDefault());
  }

  /** @param {Tool} tool */
  choose(tool) {
    this.tool = tool;
    this.cancel();
    this._changed();
  }

  /** @param {boolean} negative */
  setNegative(negative) {
    this.negative = negative;
    this._changed();
  }

  /** @param {number} factor */
  resizeBrush(factor) {
    this.brush = Math.min(Math.max(this.brush * factor, 1), 200);
    this._changed();
  }

  /** @returns {boolean} whether there was something to give up */
  cancel() {
    const had = this._gesture !== null && this._gesture.kind === 'draw';
    this._gesture = null;
    this.renderer.redraw('marks');
    return had;
  }

  /** Give a click at the keyboard's crosshair. @param {boolean} positive */
  clickAtCrosshair(positive) {
    if (!this.crosshair) return;
    const [x, y] = this.crosshair.map(Math.floor);
    this._give({type: 'click', x, y, positive});
  }

  /** @param {number} dx @param {number} dy in screen pixels */
  moveCrosshair(dx, dy) {
    const {view} = this;
    const start = this.crosshair ?? view.toImage(view.width / 2, view.height / 2);
    const step = Math.max(1 / view.scale, 1e-6);
    const to = [start[0] + dx * step, start[1] + dy * step];
    this.crosshair = [Math.min(Math.max(to[0], 0), view.imageWidth - 0.01), Math.min(Math.max(to[1], 0), view.imageHeight - 0.01)];
    const [x, y] = view.toCanvas(this.crosshair[0], this.crosshair[1]);
    const edge = 40;
    view.pan(Math.min(0, view.width - edge - x) + Math.max(0, edge - x), Math.min(0, view.height - edge - y) + Math.max(0, edge - y));
    this._changed();
  }

  /** @param {PointerEvent|WheelEvent} event @returns {[number, number]} in screen pixels */
  _at(event) {
    const box = this.canvas.getBoundingClientRect(), {ratio} = this.renderer;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }

  /** @param {PointerEvent} event */
  _down(event) {
    this.canvas.focus({preventScroll: true});
    event.preventDefault();
    const at = this._at(event);
    this.crosshair = null;
    this.canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === 'touch') {
      this._fingers.set(event.pointerId, at);
      if (this._fingers.size > 1) {
        this._gesture = null;
        this._changed();
        return;
      }
    }
    if (this._gesture || event.button > 2) return;
    const pan = this.panning || event.button === 1;
    const positive = event.button !== 2 && !event.shiftKey !== this.negative;
    this._gesture = {kind: pan ? 'pan' : 'draw', pointer: event.pointerId, positive, points: [this._pixel(at)], from: at, last: at, moved: false};
    this._changed();
  }

  /** @param {PointerEvent} event */
  _move(event) {
    const at = this._at(event);
    this.cursor = this.view.toImage(...at);
    if (this._fingers.has(event.pointerId) && this._fingers.size === 2) this._pinch(event.pointerId, at);
    const gesture = this._gesture;
    if (gesture && gesture.pointer === event.pointerId) {
      if (gesture.kind === 'pan') this.view.pan(at[0] - gesture.last[0], at[1] - gesture.last[1]);
      else {
        for (const part of event.getCoalescedEvents?.() ?? [event]) this._extend(gesture, this._at(part));
        this._extend(gesture, at);
      }
      gesture.last = at;
      const far = Math.hypot(at[0] - gesture.from[0], at[1] - gesture.from[1]);
      if (far > DRAG * this.renderer.ratio) gesture.moved = true;
    }
    this._changed();
  }

  /** @param {PointerEvent} event */
  _up(event) {
    this._fingers.delete(event.pointerId);
    const gesture = this._gesture;
    if (!gesture || gesture.pointer !== event.pointerId) return;
    this._gesture = null;
    if (gesture.kind === 'draw') this._finish(gesture);
    this._changed();
  }

  /** @param {PointerEvent} event */
  _cancel(event) {
    this._fingers.delete(event.pointerId);
    if (this._gesture?.pointer === event.pointerId) this._gesture = null;
    this._changed();
  }

  _leave() {
    this.cursor = null;
    this._changed();
  }

  /** @param {WheelEvent} event */
  _wheel(event) {
    event.preventDefault();
    if (event.altKey) {
      this.resizeBrush(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      return;
    }
    const lines = event.deltaMode === 1 ? 32 : 1;
    const step = Math.min(Math.max(event.deltaY * lines, -240), 240);
    this.view.zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0022)), ...this._at(event));
  }

  /** @param {number} pointer @param {number[]} at */
  _pinch(pointer, at) {
    const before = this._fingers.get(pointer) ?? at;
    const other = [...this._fingers].find(([id]) => id !== pointer)?.[1] ?? at;
    this._fingers.set(pointer, at);
    const length = (/** @type {number[]} */ p) => Math.max(1, Math.hypot(p[0] - other[0], p[1] - other[1]));
    this.view.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    this.view.zoom(length(at) / length(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  }

  /** @param {Gesture} gesture @param {number[]} at */
  _extend(gesture, at) {
    const pixel = this._pixel(at), last = gesture.points[gesture.points.length - 1];
    const near = Math.max(1, 1.5 / this.view.scale);
    if (Math.hypot(pixel[0] - last[0], pixel[1] - last[1]) >= near) gesture.points.push(pixel);
  }

  /** @param {number[]} at on the canvas @returns {number[]} the pixel of the image */
  _pixel(at) {
    return this.view.toImage(at[0], at[1]).map(Math.floor);
  }

  /** @param {Gesture} gesture */
  _finish({positive, points, moved}) {
    const [first, last] = [points[0], points[points.length - 1]];
    const radius = (/** @type {number} */ css) => Math.max(0.5, (css * this.renderer.ratio) / this.view.scale);
    if (this.tool === 'brush' || this.tool === 'eraser') {
      this._give({type: 'stroke', points, radius: radius(this.brush), erase: (this.tool === 'eraser') === positive});
    } else if (this.tool === 'click' && moved && positive) {
      const [left, right] = [first[0], last[0]].sort((a, b) => a - b), [top, bottom] = [first[1], last[1]].sort((a, b) => a - b);
      if (right < 0 || bottom < 0 || left >= this.view.imageWidth || top >= this.view.imageHeight) return;
      this._give({type: 'box', left: Math.max(left, 0), top: Math.max(top, 0),
        right: Math.min(right, this.view.imageWidth - 1), bottom: Math.min(bottom, this.view.imageHeight - 1)});
    } else if (this.tool === 'click' || !moved) {
      if (this._inside(first)) this._give({type: 'click', x: first[0], y: first[1], positive});
    } else if (this.tool === 'scribble') {
      this._give({type: 'scribble', points, radius: radius(SCRIBBLE_RADIUS), positive});
    } else if (points.length > 2) {
      this._give({type: 'lasso', points, positive});
    }
  }

  /** @param {number[]} pixel */
  _inside([x, y]) {
    return x >= 0 && y >= 0 && x < this.view.imageWidth && y < this.view.imageHeight;
  }

  /** @param {Prompt} prompt */
  _give(prompt) {
    this.give(prompt);
  }

  /** @param {CanvasRenderingContext2D} context */
  _draw(context) {
    const {ratio} = this.renderer, gesture = this._gesture;
    if (gesture?.kind === 'draw' && (gesture.moved || this._paints)) this._drawGesture(context, gesture);
    else if (this._paints && this.cursor) {
      const [x, y] = this.view.toCanvas(...this.cursor);
      this.renderer.dashed(context, () => context.arc(x, y, this.brush * ratio, 0, 2 * Math.PI), '#ffffff');
    }
    if (this.crosshair) {
      const [x, y] = this.view.toCanvas(this.crosshair[0], this.crosshair[1]);
      const arm = 14 * ratio, gap = 4 * ratio;
      this.renderer.dashed(context, () => {
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
          context.moveTo(x + dx * gap, y + dy * gap);
          context.lineTo(x + dx * arm, y + dy * arm);
        }
      }, '#ffffff');
    }
  }

  get _paints() {
    return this.tool === 'brush' || this.tool === 'eraser';
  }

  /** @param {CanvasRenderingContext2D} context @param {Gesture} gesture */
  _drawGesture(context, {points, positive, from, last}) {
    const {ratio} = this.renderer, colour = positive ? POSITIVE : NEGATIVE;
    if (this._paints) this.renderer.line(context, points, 2 * this.brush * ratio, (this.tool === 'brush') === positive ? POSITIVE : NEGATIVE, 0.5);
    else if (this.tool === 'scribble') this.renderer.line(context, points, 2 * SCRIBBLE_RADIUS * ratio, colour, 0.65);
    else if (this.tool === 'lasso') {
      this.renderer.dashed(context, () => points.forEach(([x, y], at) => {
        const [cx, cy] = this.view.toCanvas(x + 0.5, y + 0.5);
        if (at) context.lineTo(cx, cy);
        else context.moveTo(cx, cy);
      }), colour);
    } else if (positive) this.renderer.dashed(context, () => context.rect(from[0], from[1], last[0] - from[0], last[1] - from[1]), '#ffffff');
  }

  /** Whether anything of the tool itself is on the canvas. */
  get _shows() {
    return Boolean(this.crosshair) || (this._paints && Boolean(this.cursor)) ||
      (this._gesture?.kind === 'draw' && (this._gesture.moved || this._paints));
  }

  _changed() {
    const shows = this._shows;
    if (shows || this._shown) this.renderer.redraw('marks');
    this._shown = shows;
    this.dispatchEvent(new Event('change'));
  }
}
