/** Matrices and pictures, drawn on canvas. */

import { h } from "explorer/html.js";

// Nine steps of ColorBrewer's RdBu, from -1 (blue) over 0 (white) to 1 (red), and of its Blues, from 0 to 1.
const DIVERGING = ["2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b"];
const RISING = ["f7fbff", "deebf7", "c6dbef", "9ecae1", "6baed6", "4292c6", "2171b5", "08519c", "08306b"];
const UNKNOWN = [160, 160, 160];
const CELLS = [[51, 51, 77], [240, 196, 25], [255, 255, 255]]; // off, noise, cluster: by their lightness alone, too
const NAMED = 20; // up to so many labels, rows and columns bear their names
const LONGEST = 14; // letters of a name there
const FONT = "11px system-ui, sans-serif"; // of the names
const LINE = 12; // pixels, so that one name does not run into the next

function between(steps, share) {
  const place = Math.min(Math.max(share, 0), 1) * (steps.length - 1);
  const low = Math.min(Math.floor(place), steps.length - 2);
  const rgb = (text) => [0, 2, 4].map((start) => parseInt(text.slice(start, start + 2), 16));
  const [from, to] = [rgb(steps[low]), rgb(steps[low + 1])];
  return from.map((value, index) => Math.round(value + (to[index] - value) * (place - low)));
}

/** Give the colour of a normalised field. */
export const ofField = (value) => Number.isNaN(value) ? UNKNOWN : between(DIVERGING, (value + 1) / 2);

/** Give the colour of a share. */
export const ofShare = (value) => Number.isNaN(value) ? UNKNOWN : between(RISING, value);

/** Give the colour of a cell: 0 off, 1 noise, 2 in a cluster. */
export const ofCell = (value) => CELLS[value];

/** Give a table of colours for codes, which are looked up faster than computed. */
export function palette(values, colour) {
  const colours = new Uint8Array(256 * 4);
  for (let code = 0; code < 256; code++) colours.set([...colour(values(code)), 255], 4 * code);
  return colours;
}

/** Paint codes (K * K), in an order of labels, one pixel each; `colours` as palette gives them. */
export function paint(codes, labels, colours) {
  const count = labels.length;
  const side = Math.round(Math.sqrt(codes.length));
  const canvas = h("canvas", { width: count, height: count });
  const context = canvas.getContext("2d");
  const image = context.createImageData(count, count);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      const code = 4 * codes[labels[row] * side + labels[column]];
      image.data.set(colours.subarray(code, code + 4), 4 * (row * count + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Mark the cells of a filter: 2 in a cluster's block, 1 on beside it, 0 off: Uint8Array (K * K). */
export function cellsOf(clipped, clusters, count) {
  const cells = Uint8Array.from(clipped);
  for (const labels of clusters) for (const row of labels) for (const column of labels) cells[row * count + column] = 2;
  return cells;
}

/**
 * Draw a matrix with the names of its labels, and say the value under the pointer.
 *
 * title: over it; codes: (K * K); labels: their order; names: K; colours: as palette gives them; blocks: lists of
 * labels whose block gets a frame; say: (row, column) -> text; chosen: (row, column) -> nothing, on a click;
 * about: what is said instead of the picture; side: pixels, about, where labels have names.
 */
export function matrix({ title, codes, labels, names, colours, blocks = [], say, chosen, about, side: asked = 140 }) {
  const painted = paint(codes, labels, colours);
  const named = labels.length <= NAMED;
  const text = (label) => {
    const letters = [...names[label]];
    return letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join("")}…` : names[label];
  };
  const texts = named ? labels.map(text) : [];
  const margin = named ? 8 + widest(texts) : 4;
  const cell = Math.max(named ? LINE : 3, Math.floor((named ? asked : 300) / labels.length));
  const side = cell * labels.length;
  const scale = globalThis.devicePixelRatio || 1;
  const [width, height] = [margin + side + 2, side + margin + 2];
  const canvas = h("canvas", { width: width * scale, height: height * scale, role: "img", "aria-label": about });
  canvas.style.width = `${width}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.imageSmoothingEnabled = false;
  const [ink, paper] = ["--ink", "--page"].map((name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name)
  );
  context.fillStyle = paper; // a printer leaves out the page's own
  context.fillRect(0, 0, width, height);
  context.drawImage(painted, margin, 1, side, side);
  context.strokeStyle = ink;
  context.strokeRect(margin + 0.5, 1.5, side - 1, side - 1);
  frame(context, blocks, labels, margin, cell);
  writeNames(context, texts, margin, side, cell, ink);
  const output = h("output", {}, "\u00a0");
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (position) => Math.floor(position / cell);
    const shrunk = width / box.width;
    const row = place((event.clientY - box.top) * shrunk - 1);
    const column = place((event.clientX - box.left) * shrunk - margin);
    const inside = row >= 0 && column >= 0 && row < labels.length && column < labels.length;
    return inside ? [labels[row], labels[column]] : undefined;
  };
  const tell = (event) => {
    const place = at(event);
    output.textContent = place ? say(...place) : "\u00a0";
  };
  for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, tell);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") output.textContent = "\u00a0"; // a finger leaves as soon as it is lifted
  });
  if (chosen) {
    canvas.addEventListener("click", (event) => {
      const place = at(event);
      if (place) chosen(...place);
    });
  }
  return h("figure", { class: "matrix" }, h("figcaption", {}, title), canvas, output);
}

function frame(context, blocks, labels, margin, cell) {
  context.lineWidth = 2;
  context.strokeStyle = "#c0392b";
  for (const block of blocks) {
    const first = labels.indexOf(block[0]);
    const side = block.length * cell;
    context.strokeRect(margin + first * cell, 1 + first * cell, side, side);
  }
}

function widest(texts) {
  const context = h("canvas").getContext("2d");
  context.font = FONT;
  return Math.ceil(Math.max(...texts.map((text) => context.measureText(text).width)));
}

function writeNames(context, texts, margin, side, cell, ink) {
  context.fillStyle = ink;
  context.font = FONT;
  context.textAlign = "right";
  context.textBaseline = "middle";
  texts.forEach((text, place) => {
    const middle = (place + 0.5) * cell;
    context.fillText(text, margin - 5, 1 + middle);
    context.save();
    context.translate(margin + middle, side + 6);
    context.rotate(-Math.PI / 2);
    context.fillText(text, 0, 0);
    context.restore();
  });
}

/** Draws pictures of test images out of the one that holds them all. */
export class Pictures {
  constructor(image, { side, columns }) {
    this._image = image;
    this._side = side;
    this._columns = columns;
  }

  /** Draw a test image, so many pixels per side. */
  draw(number, shown, about) {
    const side = this._side;
    const canvas = h("canvas", { width: side, height: side, role: "img", "aria-label": about, class: "picture" });
    canvas.style.width = canvas.style.height = `${shown}px`;
    const [column, row] = [number % this._columns, Math.floor(number / this._columns)];
    canvas.getContext("2d").drawImage(this._image, column * side, row * side, side, side, 0, 0, side, side);
    return canvas;
  }
}
