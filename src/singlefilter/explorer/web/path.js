/** The layers as a path: success rate, noise, clusters and their size, against the null. */

import { NULLS } from "explorer/clusters.js";
import { count, h, number, table } from "explorer/html.js";

const STATISTICS = [
  ["noise", "noise", "fields above the threshold outside of clusters, per filter"],
  ["clusters", "clusters", "per filter"],
  ["cluster_size", "cluster size", "labels per cluster"],
];
const WORDS = {
  "field":
    "what one filter alone adds to an output of the head; in a matrix the mean over the images of an input label, " +
    "divided by the filter's largest mean",
  "cluster": "labels whose fields on each other's outputs are all above the threshold, their own too",
  "stands for": "the filter has a cluster with the label",
  "noise": "fields above the threshold that are in no cluster",
  "decides":
    "the output on which the filter alone has the largest field for an image; a filter that stands for no label " +
    "decides, too",
  "silent": "no field is positive; such a filter is left out of all means",
  "faded": "far weaker than the layer's other filters",
  "column that is on": "at least 0.8 of the fields on a label's output are above the threshold, whatever the input",
  "clean": "from this layer on, most of a label's fields above the threshold are in clusters",
};

/** Draw the path; a layer's card leads to the layer. */
export function drawPath(view) {
  const { sample, level, run, state } = view;
  const means = sample.layers.map((layer) => layer.means(level));
  const most = Object.fromEntries(
    STATISTICS.map(([key]) => [key, Math.max(...means.map((of) => of[key] || 0), ...nullsOf(view, key))]),
  );
  const cards = sample.layers.map((layer, place) => {
    const rate = layer.accuracies.test_accuracy;
    const rows = STATISTICS.map(([key, name, unit]) => {
      const random = nullOf(view, layer, "labels", key);
      return bar(name, unit, means[place][key], sample.layers.length > 1 ? most[key] : undefined, random);
    });
    const current = layer.name === state.layer ? "true" : undefined;
    return h(
      "li",
      {},
      h(
        "a",
        { href: view.address({ layer: layer.name, filter: undefined }), "aria-current": current },
        h("strong", {}, layer.title),
        ` ${count(layer.filters, "filter")}`,
        rate === undefined ? undefined : bar("success rate", "of the head on the test set", rate, 1, undefined, 3),
        rows,
      ),
    );
  });
  return [
    h("ol", { class: "path" }, cards),
    run.about.nulls?.length ? h("p", { class: "note" }, aboutNulls(view)) : undefined,
    h("details", { id: "words" }, h("summary", {}, "What the words mean"), words()),
    h("details", { id: "numbers" }, h("summary", {}, "All numbers of the layers"), numbers(view)),
  ];
}

function aboutNulls({ run, sample, state }) {
  const known = run.about.threshold;
  const which = sample.layers.length > 1 ? "Line and second" : "Second";
  const over = run.samples.length > 1 ? ", mean over all samples" : "";
  return state.threshold === known
    ? `${which} number: the same by chance, with the ${NULLS.labels}${over}.`
    : `What there would be by chance is known at the threshold ${known} only.`;
}

function words() {
  return h("dl", {}, Object.entries(WORDS).map(([word, meaning]) => [h("dt", {}, word), h("dd", {}, meaning)]));
}

function bar(name, unit, value, most, random, digits = 2) {
  const width = (of) => `width: ${Math.min(100, (100 * of) / most || 0)}%`;
  const mark = Number.isFinite(random) ? h("i", { class: "null", style: width(random) }) : undefined;
  const beside = Number.isFinite(random) ? h("small", {}, ` ${number(random, digits)}`) : undefined;
  return h(
    "span",
    { class: "statistic", title: unit },
    h("span", {}, `${name} ${number(value, digits)}`, beside),
    most === undefined
      ? undefined
      : h("span", { class: "bar", "aria-hidden": "true" }, h("b", { style: width(value) }), mark),
  );
}

function nullOf({ run, state }, layer, name, key) {
  if (state.threshold !== run.about.threshold) return undefined;
  const same = (row) => row.layer === layer.name && row.null === name && row.statistic === key;
  return run.about.nulls?.find(same)?.null_mean ?? undefined;
}

function nullsOf(view, key) {
  return view.sample.layers.map((layer) => nullOf(view, layer, "labels", key) ?? 0);
}

/** Give the rows of the path: of every sample and layer its statistics on the test and the training set. */
function pathRows({ run, level }) {
  return run.samples.flatMap((sample) =>
    sample.layers.map((layer) => {
      const [test, train] = ["test", "train"].map((split) => layer.array(split) ? layer.means(level, split) : {});
      return { sample: sample.name, layer: layer.name, filters: layer.filters, ...layer.accuracies, test, train };
    })
  );
}

function numbers(view) {
  const rows = pathRows(view).map((row) => [
    `sample ${row.sample}, ${row.layer}`,
    number(row.test_accuracy, 3),
    number(row.train_accuracy, 3),
    ...STATISTICS.map(([key]) => `${number(row.test[key])} (${number(row.train[key])})`),
  ]);
  const heads = ["layer", "success rate", "on the training set", ...STATISTICS.map(([, name]) => name)];
  const caption = "Each sample side by side; in brackets on the training set";
  const nulls = view.run.about.nulls ?? [];
  const random = nulls.map((row) => [
    row.layer,
    NULLS[row.null],
    row.statistic.replace("_", " "),
    number(row.measured),
    `${number(row.null_mean)} ± ${number(row.null_std)}`,
  ]);
  const against = table(
    `Against the nulls, at ${view.run.about.threshold}, over all samples`,
    ["layer", "null", "statistic", "measured", "null"],
    random,
  );
  return [table(caption, heads, rows), nulls.length ? against : undefined];
}
