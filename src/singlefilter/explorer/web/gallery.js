/** A layer's filters as small matrices, sorted and narrowed. */

import { clip, order } from "explorer/clusters.js";
import { cellsOf, ofCell, ofField, paint, palette } from "explorer/draw.js";
import { choice, count, digits, h, list, number } from "explorer/html.js";

export const SORTS = {
  filter: "number",
  noise: "noise",
  size: "cluster size",
  loss: "success rate lost without it",
  label: "field on",
};
export const SHOWS = { permuted: "permuted", clipped: "clipped", fields: "fields" };
export const STATES = { any: "all filters", silent: "silent", heard: "not silent", faded: "faded" };
export const WAYS = { cluster: "in a cluster", column: "a column that is on" };
export const ALL = { on: -1, both: -1, size: -1, state: "any" }; // narrows to nothing
const LISTED = 1000; // so many are drawn; more would be slow

/** Give the filters of the chosen layer that pass what is narrowed to, but for one choice, in the chosen order. */
export function chosenFilters(view, but = undefined) {
  const { layer, level, state } = view;
  const passes = {
    label: ({ filter, clusters }) => {
      if (state.on < 0) return true;
      if (state.how === "column") return layer.columnIsOn(filter, state.on, level);
      return hasTogether(clusters, state.on, state.both);
    },
    size: ({ clusters }) => state.size < 0 || hasSize(clusters, state.size),
    state: (found) => isIn(view, found, state.state),
  };
  const tests = Object.entries(passes).filter(([key]) => key !== but).map(([, test]) => test);
  return sorted(view, layer.at(level).filter((found) => tests.every((test) => test(found))));
}

/** Give the filters that follow each other: those of the gallery, or all if the one that is shown is not in it. */
export function listedFilters(view) {
  const chosen = chosenFilters(view).map(({ filter }) => filter);
  const { filter } = view.state;
  return filter === undefined || chosen.includes(filter) ? chosen : view.layer.at(view.level).map((of) => of.filter);
}

/** Whether one of the clusters has a label, and another one too unless that is -1. */
const hasTogether = (clusters, one, other) =>
  clusters.some((labels) => labels.includes(one) && (other < 0 || labels.includes(other)));

const hasSize = (clusters, size) => size === 0 ? !clusters.length : clusters.some((labels) => labels.length === size);

/** Give a filter's labels per cluster, NaN over nothing. */
export const sizeOf = ({ clusters, size }) => clusters.length ? size : NaN;

function isIn({ layer }, { filter, silent }, name) {
  return { any: true, silent, heard: !silent, faded: layer.isFaded(filter) }[name] ?? true;
}

function sorted({ layer, run, state }, found) {
  const keys = {
    filter: () => 0,
    noise: (of) => of.silent ? Infinity : of.noise,
    size: (of) => -of.size,
    loss: (of) => -layer.array("accuracy_loss")?.[of.filter],
    label: (of) => state.on < 0 ? 0 : -layer.array("own")[of.filter * run.names.length + state.on],
  };
  const key = keys[state.sort] ?? keys.filter;
  return [...found].sort((one, other) => key(one) - key(other) || one.filter - other.filter);
}

/** Say what a filter stands for, in words. */
export function inWords(found, names) {
  if (found.silent) return "is silent: none of its fields is positive";
  if (!found.clusters.length) return "stands for no label";
  const groups = found.clusters.map((labels) => list(labels.map((label) => names[label])));
  return `stands for ${groups.join("; and for ")}`;
}

export function drawGallery(view) {
  const { layer, state } = view;
  const found = chosenFilters(view);
  const items = found.slice(0, LISTED).map((of) => item(view, of));
  drawWhenSeen(items, view);
  return [
    h("h2", {}, `${layer.title}: ${count(found.length, "filter")} of ${layer.filters}`),
    h("form", { class: "choices", onsubmit: (event) => event.preventDefault() }, choices(view)),
    h("p", { class: "note" }, legend(state.show)),
    h("ul", { class: "gallery" }, items),
    found.length > LISTED ? h("p", {}, `The first ${LISTED} are drawn; narrow them to see the others.`) : undefined,
    found.length ? undefined : h("p", {}, "No filter is like that."),
  ];
}

function legend(show) {
  if (show === "fields") return "Rows are input labels, columns outputs; blue −1, white 0, red 1, the largest field.";
  const order = show === "permuted" ? "labels of a cluster side by side" : `labels in the order of the data set`;
  return `White: in a cluster; yellow: noise; dark: not above the threshold; ${order}.`;
}

function choices(view) {
  const { layer, run, state, level } = view;
  const counted = (text, number) => `${text} (${number})`;
  const change = (key, read = String) => (value) => view.go({ [key]: read(value) });
  const others = chosenFilters(view, "label");
  const on = (label) =>
    state.how === "column"
      ? others.filter(({ filter }) => layer.columnIsOn(filter, label, level)).length
      : others.filter(({ clusters }) => hasTogether(clusters, label, -1)).length;
  const together = () => {
    const found = (label) => others.filter(({ clusters }) => hasTogether(clusters, state.on, label)).length;
    const names = run.names.map((name, label) => [label, counted(name, found(label))]);
    return [[-1, counted("any", found(-1))], ...names.filter(([label]) => label !== state.on)];
  };
  const sizes = chosenFilters(view, "size");
  const largest = layer.at(level).flatMap(({ clusters }) => clusters).reduce(
    (most, of) => Math.max(most, of.length),
    Math.max(0, state.size), // which may be another layer's
  );
  const sizeOptions = Array.from({ length: largest + 1 }, (_, size) => [
    size,
    counted(
      size ? `a cluster of ${count(size, "label")}` : "no cluster",
      sizes.filter(({ clusters }) => hasSize(clusters, size)).length,
    ),
  ]);
  const kinds = chosenFilters(view, "state");
  const kindOptions = Object.entries(STATES).filter(([key]) => key !== "faded" || layer.array("faded")).map((
    [key, text],
  ) => [
    key,
    counted(text, kinds.filter((found) => isIn(view, found, key)).length),
  ]);
  const known = Object.entries(SORTS)
    .filter(([key]) => (key !== "loss" || layer.array("accuracy_loss")) && (key !== "label" || state.on >= 0))
    .map(([key, text]) => [key, key === "label" ? `${text} ${run.names[state.on]}` : text]);
  const labels = run.names.map((name, label) => [label, counted(name, on(label))]);
  const alone = (key, read) => (value) => {
    const changes = { [key]: read(value), both: -1 };
    if (changes.on < 0 && state.sort === "label") changes.sort = "filter";
    view.go(changes);
  };
  return [
    choice("on", "label", [[-1, counted("any", others.length)], ...labels], state.on, alone("on", Number)),
    choice("how", "is", Object.entries(WAYS), state.how, alone("how", String), "the label is"),
    state.on >= 0 && state.how === "cluster"
      ? choice("both", "together with", together(), state.both, change("both", Number))
      : undefined,
    choice(
      "size",
      "with",
      [[-1, counted("any clusters", sizes.length)], ...sizeOptions],
      state.size,
      change("size", Number),
      "filters with",
    ),
    choice("state", "of", kindOptions, state.state, change("state"), "of which filters"),
    choice("sort", "sorted by", known, state.sort, change("sort")),
    choice("show", "drawn", Object.entries(SHOWS), state.show, change("show")),
  ];
}

function item(view, found) {
  const { layer, run, state } = view;
  const { filter, silent, noise } = found;
  const value = {
    noise: () => silent ? "silent" : `noise ${noise}`,
    size: () => `size ${number(sizeOf(found), 1)}`,
    loss: () => `${number(100 * layer.array("accuracy_loss")?.[filter], 2)} points`,
    label: () => state.on < 0 ? "" : digits(layer.array("own")[filter * run.names.length + state.on]),
  }[state.sort];
  const sortedBy = value && state.sort !== "noise" ? `; ${value()}` : "";
  const about = `filter ${filter} ${inWords(found, run.names)}${silent ? "" : `; noise ${noise}`}${sortedBy}`;
  const current = filter === state.filter ? "true" : undefined;
  const link = h(
    "a",
    {
      href: view.address({ filter }),
      "aria-label": about,
      title: about,
      "aria-current": current,
      "data-number": filter,
    },
    h("span", {}, filter, value ? h("small", {}, ` ${value()}`) : undefined),
  );
  return h("li", {}, link);
}

/** Draw each matrix when it comes near the window: thousands at once would be slow. */
function drawWhenSeen(items, view) {
  const draw = drawer(view);
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      draw(target.firstChild);
    }
  }, { rootMargin: "300px" });
  items.forEach((item) => observer.observe(item));
}

/** Draw all matrices of a gallery that are not drawn yet. */
export function drawAll(element, view) {
  element.querySelectorAll(".gallery a").forEach(drawer(view));
}

function drawer(view) {
  const colours = palette((code) => view.run.value(code), ofField);
  const marked = palette((code) => code, (code) => ofCell(Math.min(code, 2)));
  return (link) => {
    if (!link.querySelector("canvas")) link.prepend(small(view, Number(link.dataset.number), colours, marked));
  };
}

/** Draw a filter's matrix, one pixel an element. */
function small(view, filter, colours, marked) {
  const { layer, level, run, state } = view;
  const codes = layer.ofFilter("test", filter);
  const labels = run.names.map((_, label) => label);
  if (state.show === "fields") return paint(codes, labels, colours);
  const { clusters } = layer.at(level)[filter];
  const cells = cellsOf(clip(codes, level), clusters, labels.length);
  if (state.show === "clipped") return paint(cells, labels, marked);
  return paint(cells, order(clusters, labels.length), marked);
}
