// @ts-check

const SMALLEST = 1 / 64;
const LARGEST = 64;
const MARGIN = 0.96;

/** Where the image lies on the canvas, in screen pixels (those of the device, not of CSS). */
export class View extends EventTarget {
  constructor() {
    super();
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.width = 1;
    this.height = 1;
    this.imageWidth = 1;
    this.imageHeight = 1;
    this._fitted = true;
  }

  /** @param {number} width @param {number} height of the canvas */
  resize(width, height) {
    this.width = width;
    this.height = height;
    if (this._fitted) this.fit();
    else this._settle();
  }

  /** @param {number} width @param {number} height of the image */
  show(width, height) {
    this.imageWidth = width;
    this.imageHeight = height;
    this.fit();
  }

  fit() {
    this.fitBox([0, 0, this.imageWidth, this.imageHeight], MARGIN);
    this._fitted = true;
  }

  /** @param {number[]} box in original pixels @param {number} share of the canvas that it takes */
  fitBox([left, top, right, bottom], share = 0.7) {
    const scale = Math.min(this.width / (right - left), this.height / (bottom - top)) * share;
    this.scale = Math.min(Math.max(scale, SMALLEST), LARGEST);
    this.x = (this.width - (left + right) * this.scale) / 2;
    this.y = (this.height - (top + bottom) * this.scale) / 2;
    this._fitted = false;
    this._settle();
  }

  /** @param {number} factor @param {number} x @param {number} y on the canvas, which stay where they are */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(Math.max(this.scale * factor, SMALLEST), LARGEST);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this._fitted = false;
    this._settle();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this._fitted = false;
    this._settle();
  }

  /** @param {number} x @param {number} y on the canvas @returns {[number, number]} in original pixels, with fraction */
  toImage(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  /** @param {number} x @param {number} y in original pixels @returns {[number, number]} on the canvas */
  toCanvas(x, y) {
    return [x * this.scale + this.x, y * this.scale + this.y];
  }

  /** Whole offsets, so that masks drawn once can be moved; and never lose the image out of sight. */
  _settle() {
    const keep = 40;
    const width = this.imageWidth * this.scale, height = this.imageHeight * this.scale;
    this.x = Math.round(Math.min(Math.max(this.x, keep - width), this.width - keep));
    this.y = Math.round(Math.min(Math.max(this.y, keep - height), this.height - keep));
    this.dispatchEvent(new Event('change'));
  }
}
