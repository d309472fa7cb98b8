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

function fieldTable({ sample, layer, run, level, state }) {
  const kinds = ["off", "noise", "cluster"];
  const names = run.about.class_names;
  const labels = names.length;
  const place = [sample.name, layer.name, state.threshold, state.filter];
  const rows = ["test", "train"].filter((split) => layer.array(split)).flatMap((split) => {
    const codes = layer.ofFilter(split, state.filter);
    const { clusters } = layer.at(level, split)[state.filter];
    const cells = cellsOf(clip(codes, level), clusters, labels);
    const pair = (cell) => [names[Math.floor(cell / labels)], names[cell % labels]];
    return [...codes].map((code, cell) => [...place, split, ...pair(cell), run.value(code), kinds[cells[cell]]]);
  });
  const heads = ["sample", "layer", "threshold", "filter", "split", "input_label", "output_label", "field", "cell"];
  return { heads, rows };
}

function pairTable({ sample, layer, level, run, state }) {
  const names = run.about.class_names;
  const place = [sample.name, layer.name, state.threshold];
  const pairs = sharedPairs(layer, level, names);
  const rows = pairs.map(({ one, other, filters }) => [...place, names[one], names[other], filters]);
  return { heads: ["sample", "layer", "threshold", "label", "other", "filters"], rows };
}

function labelTable(view) {
  const { sample, layer, run, state } = view;
  const place = [sample.name, layer.name, state.threshold, run.about.class_names[state.label]];
  const text = (clusters) => clusters.map((labels) => labels.join(" ")).join(";");
  const found = filtersOf(view, state.label);
  const rows = found.map(({ filter, field, clusters, noise }) => [...place, filter, field, text(clusters), noise]);
  return { heads: ["sample", "layer", "threshold", "label", "filter", "mean_field", "labels", "noise"], rows };
}

function imageTable(view) {
  const { sample, layer, run: { about } } = view;
  const rows = chosenImages(view).map((image) => {
    const { label, decided } = aboutImage(view, layer, image);
    const names = [label, decided].map((each) => about.class_names[each]);
    return [sample.name, layer.name, image, about.names[image], ...names];
  });
  return { heads: ["sample", "layer", "image", "name", "label", "decided"], rows };
}

function partTable(view) {
  const { run: { about }, sample } = view;
  const names = about.class_names;
  const last = sample.layers[sample.layers.length - 1];
  const [mine, other] = comparedLabels(view);
  const parts = explain(view, view.state.image, mine, other)?.parts ?? [];
  const rows = parts.map((part) => [
    sample.name,
    last.name,
    view.state.image,
    part.filter,
    names[mine],
    part.mine,
    names[other],
    part.others,
    part.difference,
  ]);
  return {
    heads: ["sample", "layer", "image", "filter", "label", "field", "other", "other_field", "difference"],
    rows,
  };
}

/** Write a number with seven digits, which float32 has. */
const written = (value) => typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);

/** Write a table as comma-separated values; a number that does not exist is empty. */
export function csv({ heads, rows }) {
  const quoted = (value) => {
    const text = value === undefined || Number.isNaN(value) ? "" : written(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [heads, ...rows].map((cells) => cells.map(quoted).join(",") + "\n").join("");
}

/**
 * Draw a part of the page, all of it, under the run's heading. The browser itself draws a copy, as an image that holds
 * the page's style, its colours and its canvases; what is only drawn when it is seen must be drawn before.
 */
export async function pictureOf(element, heading) {
  const copy = element.cloneNode(true);
  const canvases = element.querySelectorAll("canvas");
  copy.querySelectorAll("canvas").forEach((canvas, place) => canvas.replaceWith(imageOf(canvases[place])));
  copy.querySelectorAll("form, .steps, details").forEach((part) => part.remove());
  copy.setAttribute("style", "max-height: none; overflow: visible; padding: 12px");
  const width = Math.max(element.clientWidth, 320) + 24;
  const [body, style] = [document.createElement("div"), document.createElement("style")];
  style.textContent = document.querySelector("style").textContent;
  body.append(style, document.createElement("p"), copy);
  body.children[1].textContent = heading ?? "";
  body.children[1].setAttribute("style", "margin: 12px 12px 0");
  const look = `${colours()}; width: ${width}px; font: ${getComputedStyle(document.body).font}; padding-top: 1px`;
  body.setAttribute("style", `${look}; background: var(--page); color: var(--ink)`);
  document.body.append(body); // its height is known once it is laid out
  const height = Math.ceil(body.getBoundingClientRect().height);
  const text = new XMLSerializer().serializeToString(body);
  body.remove();
  const scale = Math.min(globalThis.devicePixelRatio || 1, 16000 / height);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<foreignObject width="100%" height="100%">${text}</foreignObject></svg>`;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [width * scale, height * scale];
  const context = picture.getContext("2d");
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(image, 0, 0, picture.width, picture.height);
  return picture;
}

function imageOf(canvas) {
  const image = document.createElement("img");
  const { width, height, border } = getComputedStyle(canvas);
  image.src = canvas.toDataURL();
  image.className = canvas.className;
  image.setAttribute(
    "style",
    `display: block; width: ${width}; height: ${height}; border: ${border}; image-rendering: pixelated`,
  );
  return image;
}

/** Give the page's colours, which a copy elsewhere would not find. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "ink", "soft", "line", "card", "link", "bar", "mark"];
  return names.map((name) => `--${name}: ${style.getPropertyValue(`--${name}`)}`).join("; ");
}

/** Let the browser save a file. */
export function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
