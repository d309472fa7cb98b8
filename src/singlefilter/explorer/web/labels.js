/** The labels of a layer: which share clusters, and one label with its filters. */

import { NO_FIELD } from "explorer/clusters.js";
import { matrix, ofShare, palette } from "explorer/draw.js";
import { ALL } from "explorer/gallery.js";
import { count, digits, h, number, percent, steps, table } from "explorer/html.js";

const PAIRS = 12; // that are listed
const FILTERS = 24; // of a label, that are listed

/** Give the pairs of labels by how many filters' clusters have both, the most first. */
export function sharedPairs(layer, level, names) {
  const counts = layer.sharedClusters(level);
  const pairs = [];
  for (let one = 0; one < names.length; one++) {
    for (let other = one + 1; other < names.length; other++) {
      pairs.push({ one, other, filters: counts[one * names.length + other] });
    }
  }
  return pairs.sort((first, second) =>
    second.filters - first.filters || first.one - second.one || first.other - second.other
  );
}

export function drawLabels(view) {
  const { layer, run, level, sample, state } = view;
  const names = run.names;
  const links = h(
    "ul",
    { class: "names" },
    names.map((name, label) => {
      const current = label === state.label ? "true" : undefined;
      return h("li", {}, h("a", { href: view.address({ view: "labels", label }), "aria-current": current }, name));
    }),
  );
  const pairs = sharedPairs(layer, level, names).slice(0, PAIRS).filter(({ filters }) => filters > 0);
  const last = sample.layers[sample.layers.length - 1];
  const mistaken = mistakes(run, last);
  const about = mistaken ? `; and the images that the head on ${last.title} takes for each other` : "";
  const rows = pairs.map(({ one, other }) => [
    h("a", { href: view.address(filtersWith(one, other)) }, `${names[one]}, ${names[other]}`),
    ...sample.layers.map((of) => percent(of.sharedClusters(level)[one * names.length + other] / of.filters)),
    ...(mistaken ? [mistaken(one, other)] : []),
  ]);
  return [
    h("h2", {}, `${layer.title}: labels that are not told apart yet`),
    links,
    h(
      "p",
      { class: "note" },
      "Of each pair of labels, the filters with a cluster that has both. Labels that share many clusters in the last " +
        "layer are those that single filters tell apart last; all filters together may tell them apart, or take other " +
        "labels for each other.",
    ),
    h("div", { class: "matrices" }, run.samples.map((of) => map(view, of))),
    rows.length
      ? table(`The pairs that share most clusters in ${layer.title}: of each layer's filters${about}`, [
        "pair",
        ...sample.layers.map((of) => of.title),
        ...(mistaken ? ["images"] : []),
      ], rows)
      : h("p", {}, "No two labels share a cluster in this layer."),
  ];
}

/** Give what chooses the filters that have a cluster with a label, or with two. */
function filtersWith(one, other = -1) {
  return { view: "filters", on: one, both: other, how: "cluster", size: -1, state: "any", sort: "label" };
}

/** Count the page's images that a head decides for another label: (label, other) -> how many, both ways. */
function mistakes(run, layer) {
  const predictions = layer.array("predictions");
  if (!predictions) return undefined;
  const counts = new Map();
  run.labels.forEach((label, image) => {
    const key = `${label} ${predictions[image]}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  return (one, other) => (counts.get(`${one} ${other}`) ?? 0) + (counts.get(`${other} ${one}`) ?? 0);
}

function map(view, sample) {
  const { run, level, state } = view;
  const layer = sample.layers.find((of) => of.name === state.layer);
  const names = run.names;
  const counts = layer.sharedClusters(level);
  const apart = counts.map((value, cell) => cell % (names.length + 1) ? value : 0);
  const most = apart.reduce((one, other) => Math.max(one, other), 1);
  const codes = Uint8Array.from(
    apart,
    (value, cell) => cell % (names.length + 1) ? Math.round((254 * value) / most) : NO_FIELD,
  );
  const say = (one, other) =>
    one === other
      ? `${names[one]}: in a cluster of ${count(counts[one * names.length + one], "filter")}`
      : `${names[one]} and ${names[other]}: ${count(counts[one * names.length + other], "filter")} of ${layer.filters}`;
  return matrix({
    title: run.samples.length > 1 ? `sample ${sample.name}` : `0 to ${most} filters`,
    codes,
    labels: names.map((_, label) => label),
    names,
    side: 280,
    colours: palette((code) => code === NO_FIELD ? NaN : code / 254, ofShare),
    say,
    chosen: (row, column) => {
      const chosen = row === column ? { view: "labels", label: row } : filtersWith(row, column);
      view.go({ sample: sample.name, ...chosen });
    },
    about:
      `For each pair of labels, how many filters have a cluster with both; at most ${most}. The table lists the largest.`,
  });
}

/** Give the filters of a layer whose clusters have a label, those with the largest mean field on it first. */
export function filtersOf(view, label) {
  const { layer, level, run } = view;
  const own = layer.array("own");
  const field = (filter) => own[filter * run.names.length + label];
  return layer.at(level)
    .filter(({ clusters, silent }) => !silent && clusters.some((labels) => labels.includes(label)))
    .map((found) => ({ ...found, field: field(found.filter) }))
    .sort((one, other) => other.field - one.field || one.filter - other.filter);
}

/** Say from which layer on most of a label's fields above the threshold are in clusters, up to the last layer. */
function cleanFrom({ sample, level }, label) {
  const shares = sample.layers.map((layer) => layer.clean(level)[label]);
  let first = shares.length;
  while (first > 0 && shares[first - 1] > 0.5) first--;
  return { shares, layer: sample.layers[first] };
}

export function drawLabel(view) {
  const { layer, run, level, sample, state } = view;
  const { label } = state;
  const name = run.names[label];
  const { shares, layer: clean } = cleanFrom(view, label);
  const mistaken = mistakes(run, sample.layers[sample.layers.length - 1]);
  const rows = sample.layers.map((of, place) => {
    const found = of.at(level).filter(({ clusters }) => clusters.some((labels) => labels.includes(label)));
    const counts = of.sharedClusters(level).slice(label * run.names.length, (label + 1) * run.names.length);
    const best = counts.reduce(
      (most, value, other) => other !== label && value > (counts[most] ?? 0) ? other : most,
      -1,
    );
    return [
      of.title,
      ...(mistaken ? [number(success(view, of, label), 3)] : []),
      percent(found.length / of.filters),
      percent(shares[place]),
      best < 0 ? "none" : `${run.names[best]} (${count(counts[best], "filter")})`,
    ];
  });
  const heads = [
    "layer",
    ...(mistaken ? ["success rate on its images here"] : []),
    "filters that stand for it",
    "of its fields above the threshold, in clusters",
    "shares most clusters with",
  ];
  const filters = filtersOf(view, label);
  const listed = filters.slice(0, FILTERS).map((found) => [
    h("a", { href: view.address({ ...ALL, view: "filters", filter: found.filter }) }, `filter ${found.filter}`),
    digits(found.field),
    found.clusters.map((labels) => labels.map((of) => run.names[of]).join(" + ")).join("; "),
    number(found.noise, 0),
  ]);
  const counts = layer.sharedClusters(level);
  const others = run.names.map((other, of) => [of, other, counts[label * run.names.length + of]])
    .filter(([of, , shared]) => of !== label && shared > 0)
    .sort((one, two) => two[2] - one[2])
    .map((
      [of, other, shared],
    ) => [
      h("a", { href: view.address({ view: "labels", label: of }) }, other),
      h("a", { href: view.address(filtersWith(label, of)) }, shared),
      percent(shared / filters.length),
      ...(mistaken ? [mistaken(label, of)] : []),
    ]);
  return [
    h("h2", {}, `label ${name}`),
    steps(view, "label", run.names.map((_, of) => of)),
    sample.layers.length > 1 && h(
      "p",
      { class: "words" },
      clean
        ? `It is clean from ${clean.title} on: in that layer and all later ones, most of its fields above the threshold are in clusters.`
        : `It is not clean in the last layer: ${
          Number.isNaN(shares[shares.length - 1])
            ? "none of its fields is above the threshold"
            : "at most half of its fields above the threshold are in clusters"
        }.`,
    ),
    table(`${name} from layer to layer`, heads, rows),
    filters.length
      ? table(
        `Filters of ${layer.title} that stand for ${name}, by their mean field on it over its images${
          filters.length > FILTERS ? `: the first ${FILTERS} of ${filters.length}` : ""
        }`,
        ["filter", "field", "clusters", "noise"],
        listed,
      )
      : h("p", {}, `No filter of ${layer.title} stands for ${name}.`),
    others.length
      ? table(`Labels that share clusters with ${name} in ${layer.title}`, [
        "label",
        "filters",
        `of ${name}'s`,
        ...(mistaken ? ["images that the last head takes for each other"] : []),
      ], others)
      : undefined,
    filters.length > 0 && h(
      "p",
      {},
      h(
        "a",
        { href: view.address(filtersWith(label)) },
        `All filters of ${layer.title} that stand for ${name}`,
      ),
    ),
  ];
}

/** Give a head's success rate on the page's images of a label. */
function success({ run }, layer, label) {
  const predictions = layer.array("predictions");
  if (!predictions) return NaN;
  let [right, all] = [0, 0];
  run.labels.forEach((of, image) => {
    if (of !== label) return;
    all++;
    if (predictions[image] === label) right++;
  });
  return right / all;
}
