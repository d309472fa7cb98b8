/** What is shown, as a table of comma-separated values, or as a picture. */

import { clip } from "explorer/clusters.js";
import { cellsOf } from "explorer/draw.js";
import { filterNumbers } from "explorer/filter.js";
import { chosenFilters } from "explorer/gallery.js";
import { aboutImage, chosenImages, comparedLabels, explain } from "explorer/images.js";
import { filtersOf, sharedPairs } from "explorer/labels.js";

/** Give what is shown as a table: the names of its columns, and its rows. */
export function shownTable(view) {
  const { state } = view;
  if (state.view === "labels") return state.label === undefined ? pairTable(view) : labelTable(view);
  if (state.view === "images") return state.image === undefined ? imageTable(view) : partTable(view);
  return state.filter === undefined ? filterTable(view) : fieldTable(view);
}

function filterTable(view) {
  const { sample, layer, state } = view;
  const found = chosenFilters(view).map((of) => [of.filter, filterNumbers(view, of)]);
  const heads = ["noise", "clusters", "labels", "silent", "decision_label", "decision_share", "accuracy_loss"];
  const place = [sample.name, layer.name, state.threshold];
  const rows = found.map(([filter, numbers]) => [...place, filter, ...heads.map((head) => numbers[head])]);
  return { heads: ["sample", "layer", "threshold", "filter", ...heads], rows };
}

function fieldTable({ layer, run, level, state }) {
  const kinds = ["off", "noise", "cluster"];
  const labels = run.names.length;
  const rows = ["test", "train"].filter((split) => layer.array(split)).flatMap((split) => {
    const codes = layer.ofFilter(split, state.filter);
    const { clusters } = layer.at(level, split)[state.filter];
    const cells = cellsOf(clip(codes, level), clusters, labels);
    const name = (label) => run.names[label];
    const row = (
      code,
      cell,
    ) => [name(Math.floor(cell / labels)), name(cell % labels), run.value(code), kinds[cells[cell]]];
    return [...codes].map((code, cell) => [split, ...row(code, cell)]);
  });
  return { heads: ["split", "input_label", "output_label", "field", "cell"], rows };
}

function pairTable({ layer, level, run }) {
  const pairs = sharedPairs(layer, level, run.names);
  const rows = pairs.map(({ one, other, filters }) => [layer.name, run.names[one], run.names[other], filters]);
  return { heads: ["layer", "label", "other", "filters"], rows };
}

function labelTable(view) {
  const place = [view.layer.name, view.run.names[view.state.label]];
  const text = (clusters) => clusters.map((labels) => labels.join(" ")).join(";");
  const found = filtersOf(view, view.state.label);
  const rows = found.map(({ filter, field, clusters, noise }) => [...place, filter, field, text(clusters), noise]);
  return { heads: ["layer", "label", "filter", "mean_field", "labels", "noise"], rows };
}

function imageTable(view) {
  const { names, about } = view.run;
  const last = view.sample.layers[view.sample.layers.length - 1];
  const rows = chosenImages(view).map((image) => {
    const { label, decided } = aboutImage(view, last, image);
    return [image, about.names[image], names[label], names[decided]];
  });
  return { heads: ["image", "name", "label", "decided"], rows };
}

function partTable(view) {
  const { names } = view.run;
  const [mine, other] = comparedLabels(view);
  const parts = explain(view, view.state.image, mine, other)?.parts ?? [];
  const rows = parts.map((part) => [view.state.image, part.filter, part.mine, part.others, part.difference]);
  return { heads: ["image", "filter", `field on ${names[mine]}`, `field on ${names[other]}`, "difference"], rows };
}

/** Write a table as comma-separated values; a number that does not exist is empty. */
export function csv({ heads, rows }) {
  const quoted = (value) => {
    const text = value === undefined || Number.isNaN(value) ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [heads, ...rows].map((cells) => cells.map(quoted).join(",") + "\n").join("");
}

/** Draw a part of the page's canvases into one, each at its place, with the headings and captions over them. */
export function pictureOf(element) {
  const box = element.getBoundingClientRect();
  const scale = globalThis.devicePixelRatio || 1;
  const canvases = [...element.querySelectorAll("canvas")];
  const bottom = Math.max(0, ...canvases.map((canvas) => canvas.getBoundingClientRect().bottom - box.top));
  const picture = document.createElement("canvas");
  picture.width = box.width * scale;
  picture.height = (bottom + 8) * scale;
  const context = picture.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.scale(scale, scale);
  context.fillStyle = style.getPropertyValue("--page");
  context.fillRect(0, 0, box.width, bottom + 8);
  context.fillStyle = style.getPropertyValue("--ink");
  context.textBaseline = "top";
  for (
    const text of element.querySelectorAll(
      "h2, h3, h4, .words, figcaption, .gallery span, .thumbnails span, .thumbnails small, .extremes p",
    )
  ) {
    const place = text.getBoundingClientRect();
    if (place.top - box.top > bottom) continue;
    const of = getComputedStyle(text);
    context.font = `${of.fontWeight} ${of.fontSize} system-ui, sans-serif`;
    context.fillText(text.textContent, place.left - box.left, place.top - box.top, Math.max(place.width, 40));
  }
  context.imageSmoothingEnabled = false;
  for (const canvas of canvases) {
    const place = canvas.getBoundingClientRect();
    context.drawImage(canvas, place.left - box.left, place.top - box.top, place.width, place.height);
  }
  return picture;
}

/** Let the browser save a file. */
export function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
