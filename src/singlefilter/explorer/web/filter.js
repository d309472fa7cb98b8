/** One filter: its matrices on the test and the training set, its numbers, its nulls, and its images. */

import { clip, measureNull, NO_FIELD, NULLS, order, randomNumbers } from "explorer/clusters.js";
import { cellsOf, matrix, ofCell, ofField, ofShare, palette } from "explorer/draw.js";
import { inWords, listedFilters, sizeOf } from "explorer/gallery.js";
import { digits, h, list, number, percent, steps, table } from "explorer/html.js";
import { thumbnails } from "explorer/images.js";

const SPLITS = { test: "test set", train: "training set" };
const LISTED = 20; // labels; of more, a table is of no use

export function drawFilter(view) {
  const { layer, run, state, level } = view;
  const filter = state.filter;
  const found = layer.at(level)[filter];
  const words = `${inWords(found, run.names)}${found.silent ? "" : `; noise ${found.noise}`}`;
  return [
    h("h2", {}, `${layer.title}, filter ${filter}`),
    steps(view, "filter", listedFilters(view)),
    h("p", { class: "words" }, `At the threshold ${state.threshold} it ${words}.`),
    matrices(view, "test"),
    images(view),
    layer.array("train") ? matrices(view, "train") : undefined,
    numbers(view, found),
    nulls(view, found),
  ];
}

function matrices(view, split) {
  const name = SPLITS[split];
  const { layer, level, run, state } = view;
  const codes = layer.ofFilter(split, state.filter);
  const found = layer.at(level, split)[state.filter];
  const { clusters, silent } = found;
  const clipped = clip(codes, level);
  const cells = cellsOf(clipped, clusters, run.names.length);
  const labels = run.names.map((_, label) => label);
  const pair = (row, column) => `${run.names[row]} → ${run.names[column]}`;
  const kinds = ["not above the threshold", "noise", "in a cluster"];
  const cell = run.names.length ** 2;
  const sayField = (row, column) => `${pair(row, column)}: ${run.fieldText(codes[row * labels.length + column])}`;
  const sayCell = (row, column) => `${sayField(row, column)}, ${kinds[cells[row * labels.length + column]]}`;
  const shared = { labels, names: run.names };
  const marked = { codes: cells, colours: palette((code) => Math.min(code, 2), ofCell), say: sayCell };
  const ones = clipped.reduce((sum, one) => sum + one, 0);
  const drawn = [
    matrix({
      ...shared,
      title: "fields",
      codes,
      colours: palette((code) => run.value(code), ofField),
      say: sayField,
      about: `Fields on the ${name}, ${run.names.length} input labels by outputs; ${
        silent ? "none is positive" : "the largest is 1"
      }.`,
    }),
    matrix({
      ...shared,
      ...marked,
      title: `clipped at ${state.threshold}`,
      about: `Clipped on the ${name}: ${ones} of ${cell} fields are above the threshold.`,
    }),
    matrix({
      ...shared,
      ...marked,
      title: "permuted",
      labels: order(clusters, labels.length),
      blocks: clusters,
      about: `Permuted on the ${name}: it ${inWords(found, run.names)}.`,
    }),
  ];
  if (split === "test" && layer.array("decisions")) drawn.push(decisions(view, pair));
  return h(
    "section",
    {},
    h("h3", {}, layer.array("train") ? `On the ${name}` : "Its matrices"),
    h("p", { class: "note" }, split === "test" ? legend(layer, found) : "The same on the training set."),
    h("div", { class: "matrices" }, drawn),
    labels.length <= LISTED ? fieldsInWords(run, split, codes) : undefined,
  );
}

/** Say what the matrices' rows, columns and colours are. */
function legend(layer, { filter, silent }) {
  const largest = digits(layer.array("largest")[filter]);
  const scale = silent
    ? `The largest mean field is ${largest}, so there is no scale.`
    : `Fields are rounded up to hundredths, and 1 is the filter's largest mean field, ${largest}.`;
  return `Rows: input labels. Columns: outputs. ${scale} Fields: blue −1, white 0, red 1. Clipped and permuted: white in ` +
    "a cluster, yellow noise, dark neither. Grey: there is none.";
}

/** List the fields as a table, for those who cannot see the matrix; it is filled when it is opened. */
function fieldsInWords(run, split, codes) {
  const count = run.names.length;
  const rows = () =>
    run.names.map((label, row) => [label, ...run.names.map((_, of) => run.fieldText(codes[row * count + of]))]);
  const fill = (event) => {
    if (event.target.open && event.target.children.length === 1) {
      event.target.append(table(`Fields on the ${SPLITS[split]}, input labels by outputs`, ["", ...run.names], rows()));
    }
  };
  const summary = h("summary", { id: `open-${split}` }, "all fields, as a table");
  return h("details", { id: `fields-${split}`, ontoggle: fill }, summary);
}

function decisions({ layer, run, state }, pair) {
  const codes = layer.ofFilter("decisions", state.filter);
  const text = (code) => code === NO_FIELD ? "no image decided" : `${code} % of the decided images`;
  return matrix({
    title: "what it decides",
    codes,
    labels: run.names.map((_, label) => label),
    names: run.names,
    colours: palette((code) => code === NO_FIELD ? NaN : code / 100, ofShare),
    say: (row, column) => `${pair(row, column)}: ${text(codes[row * run.names.length + column])}`,
    about: "Decisions: of the images of each input label, the share for which each output has the largest field.",
  });
}

/** Give the filter's numbers by the names of filters.csv; they are its numbers at the run's own threshold. */
export function filterNumbers({ layer }, found) {
  const { filter, noise, clusters, silent } = found;
  const value = (name) => layer.array(name)?.[filter] ?? NaN;
  return {
    noise: silent ? NaN : noise,
    clusters: silent ? NaN : clusters.length,
    labels: clusters.map((labels) => labels.join(" ")).join(";"),
    silent,
    decision_label: value("decision_label"),
    decision_share: value("decision_share"),
    accuracy_loss: value("accuracy_loss"),
  };
}

function numbers(view, found) {
  const { layer, level, run } = view;
  const values = filterNumbers(view, found);
  const train = layer.array("train") ? layer.at(level, "train")[found.filter] : undefined;
  const loss = values.accuracy_loss;
  const lost = Number.isFinite(loss)
    ? `${loss < 0 ? "higher" : "lower"} by ${number(100 * Math.abs(loss), 2)} percentage points`
    : "n/a";
  const picked = Number.isFinite(values.decision_label)
    ? `${run.names[values.decision_label]}, for ${percent(values.decision_share)} of the images that it decides`
    : "n/a";
  const inCluster = (of) =>
    list(of.clusters.map((labels) => `{${labels.map((label) => run.names[label]).join(", ")}}`)) || "none";
  const rows = [
    ["noise", number(values.noise, 0), train && number(train.silent ? NaN : train.noise, 0)],
    ["clusters", inCluster(found), train && inCluster(train)],
    layer.array("decision_label") && ["label that it picks most", picked],
    layer.array("accuracy_loss") && ["the head's success rate without it", lost],
    layer.array("faded") && ["faded (far weaker than the others)", layer.isFaded(found.filter) ? "yes" : "no"],
  ].filter(Boolean).map((row) => train ? [row[0], row[1], row[2] ?? ""] : row.slice(0, 2));
  return table("Its numbers", train ? ["", "test set", "training set"] : ["", ""], rows);
}

function nulls({ layer, level, run, state }, found) {
  if (found.silent) return undefined;
  const clipped = clip(layer.ofFilter("test", state.filter), level);
  const draws = run.names.length > 20 ? 10 : 100;
  const random = randomNumbers(state.filter);
  const rows = Object.entries(NULLS).map(([name, text]) => {
    const of = measureNull(name, clipped, run.names.length, run.rows, draws, random);
    const write = ([mean, deviation]) => `${number(mean)} ± ${number(deviation)}`;
    return [text, write(of.noise), write(of.clusters), write(of.size)];
  });
  const own = ["this filter", number(found.noise, 0), number(found.clusters.length, 0), number(sizeOf(found))];
  const caption = `Against chance: ${draws} random matrices that keep a part of this one (mean ± standard deviation)`;
  return table(caption, ["", "noise", "clusters", "cluster size"], [own, ...rows]);
}

function images(view) {
  const { layer, run, state } = view;
  const pairs = layer.array("pairs");
  if (!pairs) return undefined;
  const wanted = layer.array("largest_images").length / (pairs.length / 2);
  const found = [];
  for (let pair = 0; pair < pairs.length / 2; pair++) {
    if (pairs[2 * pair] !== state.filter) continue;
    const label = pairs[2 * pair + 1];
    const name = run.names[label];
    const row = (which) => {
      const part = (kind) => layer.array(`${which}_${kind}`).subarray(pair * wanted, (pair + 1) * wanted);
      return [...part("images")].map((image, place) => ({ image, field: part("fields")[place] })).filter(({ image }) =>
        image >= 0
      );
    };
    found.push(
      h(
        "h4",
        {},
        layer.at(view.level)[state.filter].clusters.flat().includes(label)
          ? name
          : `${name} (not at ${state.threshold})`,
      ),
      h("div", { class: "extremes" }, [
        h("p", {}, `largest fields on ${name}`),
        thumbnails(view, row("largest")),
        h("p", {}, `smallest, among images of ${name}`),
        thumbnails(view, row("smallest")),
      ]),
    );
  }
  const { count, of } = run.about.pictures;
  const among = count < of
    ? `the first ${count.toLocaleString("en")} of ${of.toLocaleString("en")} test images`
    : `all ${of.toLocaleString("en")} test images`;
  const note =
    `Among ${among}, for the labels that it stands for at 0.3; of equal fields the first images'. Under each: ` +
    "its label, ✗ what the head of this layer decides if it is mistaken, and the field, as it is.";
  return h(
    "section",
    {},
    h("h3", {}, "The images that drive it, and those that it misses"),
    found.length
      ? [h("p", { class: "note" }, note), found]
      : h("p", {}, "It stands for no label at 0.3, so none are kept."),
  );
}
