/** The page: what is chosen, what is drawn, and what the keys do. */

import { readData } from "explorer/data.js";
import { drawFilter } from "explorer/filter.js";
import { drawAll, drawGallery, listedFilters, SHOWS, SORTS, STATES, WAYS } from "explorer/gallery.js";
import { choice, h } from "explorer/html.js";
import { drawImage, drawImages, KINDS, listedImages } from "explorer/images.js";
import { drawLabel, drawLabels } from "explorer/labels.js";
import { drawPath } from "explorer/path.js";
import { Run } from "explorer/run.js";
import { csv, download, pictureOf, shownTable } from "explorer/save.js";
import { formatState, parseState } from "explorer/state.js";

const VIEWS = { filters: "Filters", labels: "Labels", images: "Images" };
const WORDS = { view: VIEWS, sort: SORTS, show: SHOWS, how: WAYS, state: STATES, kind: KINDS };
const CHOSEN = { filters: "filter", labels: "label", images: "image" };
const OPTIONAL = [...Object.values(CHOSEN), "for", "against"]; // what an address may name that has no default
const place = (id) => document.getElementById(id);

/** Read the page's data, and draw what its address names. */
export async function start() {
  const image = place("pictures");
  if (image.getAttribute("src")) await image.decode();
  const run = new Run(await readData(), image);
  place("heading").textContent = run.about.heading ?? "";
  const explorer = new Explorer(run);
  globalThis.addEventListener("hashchange", () => explorer.followAddress());
  document.addEventListener("click", (event) => explorer.followLink(event));
  document.addEventListener("keydown", (event) => explorer.followKey(event));
  globalThis.addEventListener("beforeprint", () => drawAll(place("list"), explorer));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => explorer.draw());
  if (run.about.start && !location.href.includes("#")) explorer.show(formatState(run.about.start, {}), "replaceState");
  else explorer.follow(location.hash || "#");
  globalThis.explorer = explorer; // for those who look at the page with a browser's tools
}

class Explorer {
  constructor(run) {
    const [sample] = run.samples;
    this.run = run;
    this.defaults = {
      sample: sample.name,
      layer: sample.layers[sample.layers.length - 1].name,
      view: "filters",
      threshold: run.about.threshold,
      sort: "filter",
      show: "permuted",
      how: "cluster",
      state: "any",
      kind: "mistaken",
      on: -1,
      both: -1,
      as: -1,
      size: -1,
    };
    this._makeControls();
  }

  /** Draw what an address names; what there is not counts as not named. */
  follow(fragment) {
    this._followed = fragment;
    const state = parseState(fragment, this.defaults);
    const { run, defaults } = this;
    const sample = run.samples.find(({ name }) => name === state.sample) ?? run.samples[0];
    const layer = sample.layers.find(({ name }) => name === state.layer) ?? sample.layers[sample.layers.length - 1];
    const asked = { ...state };
    const within = (key, count) => {
      if (!Number.isInteger(state[key]) || state[key] < 0 || state[key] >= count) state[key] = defaults[key];
    };
    state.sample = sample.name;
    state.layer = layer.name;
    for (const [key, words] of Object.entries(WORDS)) if (!Object.hasOwn(words, state[key])) state[key] = defaults[key];
    if (state.view === "images" && !run.pictures) state.view = "filters";
    if (!run.about.thresholds.includes(state.threshold) || run.level(state.threshold) < 0) {
      state.threshold = defaults.threshold;
    }
    within("filter", layer.filters);
    within("image", run.labels?.length ?? 0);
    for (const key of ["label", "on", "both", "as", "for", "against"]) within(key, run.names.length);
    within("size", run.names.length + 1);
    const lacks = (key, value, name) => {
      if (state[key] === value && !layer.array(name)) state[key] = defaults[key];
    };
    lacks("state", "faded", "faded");
    lacks("sort", "loss", "accuracy_loss");
    if (state.on < 0 && state.sort === "label") state.sort = defaults.sort;
    if (state.on < 0 || state.both === state.on) state.both = defaults.both;
    for (const key of Object.keys(asked)) {
      if (!Object.hasOwn(defaults, key) && !OPTIONAL.includes(key)) delete state[key];
    }
    const missing = Object.keys(asked).filter((key) => asked[key] !== state[key]);
    if (state.label !== undefined && !/view=/.test(fragment)) state.view = "labels";
    if (state.image !== undefined && !/view=/.test(fragment) && run.pictures) state.view = "images";
    this.state = state;
    this.sample = sample;
    this.layer = layer;
    this.level = run.level(state.threshold);
    place("missing").textContent = missing.length
      ? `Not on this page: ${missing.map((key) => `${key} ${asked[key] === "" ? "(empty)" : asked[key]}`).join(", ")}.`
      : "";
    this.draw();
  }

  /** Give the address of what is chosen, but for some changes. */
  address(changes = {}) {
    const state = { ...this.state, ...changes };
    for (const [view, key] of Object.entries(CHOSEN)) if (view !== state.view) delete state[key];
    if (state.image !== this.state.image) {
      delete state.for;
      delete state.against;
    }
    return formatState(state, this.defaults);
  }

  /** Choose something else: draw it, and put it into the address, where the page has one of its own. */
  go(changes, method = "pushState") {
    this.show(this.address(changes), method);
  }

  show(fragment, method = "pushState") {
    this.follow(fragment);
    if (location.protocol !== "about:") history[method](null, "", fragment);
  }

  /** Draw what the page's address names, unless it is drawn already. */
  followAddress() {
    if ((location.hash || "#") !== this._followed) this.follow(location.hash);
  }

  followLink(event) {
    const link = event.target.closest?.("a[href^='#']");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.show(link.getAttribute("href"));
  }

  /** Left and right: the filter, label or image before and after; up and down: the layer; Escape: close. */
  followKey(event) {
    const typing = event.key !== "Escape" && event.target.closest("select, input");
    const box = event.target.closest(".scroll");
    const scrolling = /^Arrow(Left|Right)$/.test(event.key) && box?.scrollWidth > box?.clientWidth;
    if (typing || scrolling || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { state, sample, layer, run } = this;
    const key = CHOSEN[state.view];
    const lists = {
      filter: () => listedFilters(this),
      label: () => run.names.map((_, label) => label),
      image: () => listedImages(this),
    };
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const climb = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    let changes;
    if (step) {
      const all = lists[key]();
      const next = state[key] === undefined ? all[0] : all[all.indexOf(state[key]) + step];
      if (next !== undefined) changes = { [key]: next };
    } else if (climb && state[key] !== undefined) {
      const next = sample.layers[sample.layers.indexOf(layer) + climb];
      if (next) changes = { layer: next.name };
      if (next && key === "filter") changes.filter = Math.min(state.filter, next.filters - 1);
    } else if (event.key === "Escape" && state[key] !== undefined) changes = { [key]: undefined };
    if (!changes) return;
    event.preventDefault();
    this.go(changes, event.repeat ? "replaceState" : "pushState"); // a key that is held leaves one entry to go back to
  }

  draw() {
    const focused = document.activeElement;
    const part = focused?.closest("#controls, #path, #list, #panel");
    const { state } = this;
    const key = CHOSEN[state.view];
    const chosen = state[key] !== undefined;
    const open = [...document.querySelectorAll("details[open]")].map((details) => details.id);
    put(place("path"), drawPath(this));
    this._drawControls();
    const lists = { filters: drawGallery, labels: drawLabels, images: drawImages };
    const panels = { filters: drawFilter, labels: drawLabel, images: drawImage };
    put(place("list"), lists[state.view](this));
    put(place("panel"), chosen ? panels[state.view](this) : []);
    for (const id of open) if (place(id)) place(id).open = true;
    document.querySelector("main").className = chosen ? "two" : "";
    if (part) focusAgain(focused, part);
    this._scroll(state.view, state.layer, state[key]);
  }

  /** Bring what is newly chosen into the window, and what was chosen last when it is closed. */
  _scroll(view, layer, number) {
    const last = this._shown ?? {};
    const stays = last.view === view && last.layer === layer;
    const list = place("list");
    showCard(place("path").querySelector("ol"));
    if (number === undefined) {
      if (stays) bring(list, list.querySelector(`[data-number="${last.number}"]`));
    } else if (!stays || last.number !== number) {
      place("panel").scrollTop = 0;
      if (innerWidth < 1000) scrollBy(0, place("panel").getBoundingClientRect().top);
      else bring(list, list.querySelector("[aria-current]"));
    }
    this._shown = { view, layer, number };
  }

  /** Make the controls, which stay: a slider that was made anew at each step could not be dragged. */
  _makeControls() {
    const { run } = this;
    const { thresholds } = run.about;
    this._slider = h("input", {
      id: "threshold",
      type: "range",
      min: 0,
      max: thresholds.length - 1,
      oninput: (event) => this.show(this.address({ threshold: thresholds[event.target.value] }), "replaceState"),
    });
    [this._tabs, this._samples, this._threshold] = [h("span", { class: "tabs" }), h("span"), h("output")];
    put(place("controls"), [
      this._tabs,
      this._samples,
      h("label", { for: "threshold" }, "threshold ", this._slider),
      this._threshold,
      h("button", { id: "save-table", onclick: () => this.saveTable() }, "Save CSV"),
      h("button", { id: "save-picture", onclick: () => this.savePicture() }, "Save picture"),
    ]);
  }

  _drawControls() {
    const { run, state } = this;
    const tabs = Object.entries(VIEWS).filter(([view]) => view !== "images" || run.pictures);
    const current = (view) => view === state.view ? "page" : undefined;
    const link = ([view, name]) => h("a", { href: this.address({ view }), "aria-current": current(view) }, name);
    put(this._tabs, tabs.map(link));
    const samples = run.samples.map(({ name }) => [name, name]);
    const choose = () => choice("sample", "sample", samples, state.sample, (sample) => this.go({ sample }));
    put(this._samples, samples.length > 1 ? [choose()] : []);
    this._slider.value = run.about.thresholds.indexOf(state.threshold);
    this._slider.setAttribute("aria-valuetext", state.threshold);
    this._threshold.textContent = state.threshold;
  }

  /** Name a file after what is shown, in letters that every system takes. */
  fileName(ending) {
    const { view, layer, threshold } = this.state;
    const key = CHOSEN[view];
    const chosen = this.state[key] === undefined ? view : `${key}_${this.state[key]}`;
    return `explorer_${
      this.run.samples.length > 1 ? `sample_${this.state.sample}_` : ""
    }layer_${layer}_${chosen}_${threshold}`
      .replace(/[^\w.-]+/g, "_") + `.${ending}`;
  }

  saveTable() {
    download(this.fileName("csv"), new Blob([csv(shownTable(this))], { type: "text/csv" }));
  }

  async savePicture() {
    const chosen = this.state[CHOSEN[this.state.view]] !== undefined;
    drawAll(place("list"), this);
    const picture = await pictureOf(place(chosen ? "panel" : "list"), this.run.about.heading);
    picture.toBlob((content) => download(this.fileName("png"), content));
  }
}

/** Focus what has taken the place of the element that was focused in a part of the page, or else what is left there. */
function focusAgain(focused, part) {
  const address = focused.getAttribute("href");
  const same = focused.id ? place(focused.id) : address && part.querySelector(`a[href="${CSS.escape(address)}"]`);
  (same ?? (part.hasChildNodes() ? part : place("list"))).focus({ preventScroll: true });
}

/** Scroll the path, and nothing else, to the chosen layer. */
function showCard(path) {
  const card = path.querySelector("[aria-current]");
  path.scrollLeft = card.offsetLeft - path.offsetLeft - (path.clientWidth - card.offsetWidth) / 2;
}

/**
 * Scroll a list, and then the window, as little as brings an item into both. The item's own scrollIntoView would go on
 * and scroll the notebook that a panel is in.
 */
function bring(list, item) {
  const into = (box, top, bottom) => {
    const of = item.getBoundingClientRect();
    box.scrollBy(0, Math.min(0, of.top - top) || Math.max(0, of.bottom - bottom));
  };
  if (!item) return;
  const { top, bottom } = list.getBoundingClientRect();
  into(list, top, bottom);
  into(globalThis, 0, innerHeight);
}

function put(element, children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child));
}
