/** The layers as a path: success rate, noise, clusters and their size, against the null. */

import { count, h, number, percent, table } from "explorer/html.js";

const STATISTICS = [
  ["noise", "noise", "fields above the threshold outside of clusters, per filter"],
  ["clusters", "clusters", "per filter"],
  ["cluster_size", "cluster size", "labels per cluster"],
];
const NULLS = {
  labels: "input labels permuted against the outputs",
  columns: "the ones of each column shuffled within it",
  ones: "as many ones at random places",
};

/** Draw the path; each layer leads to what `address` gives for its name. */
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
      return bar(name, unit, means[place][key], most[key], random);
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
    h("details", {}, h("summary", {}, "all numbers, and what | means"), words(view), numbers(view)),
  ];

  function words() {
    const atNull = state.threshold === run.about.threshold;
    const about = run.about.nulls?.length
      ? `The bar is what was measured at the threshold ${state.threshold}, and the line across it what the null has: ` +
        `${NULLS.labels}. ` + (atNull ? "" : `The nulls are known at ${run.about.threshold} only, so no line is drawn.`)
      : "";
    return h("p", {}, about);
  }
}

function bar(name, unit, value, most, random, digits = 2) {
  const width = (of) => `width: ${Math.min(100, (100 * of) / most || 0)}%`;
  const mark = Number.isFinite(random) ? h("i", { class: "null", style: width(random) }) : undefined;
  const beside = Number.isFinite(random) ? h("small", {}, ` | ${number(random, digits)}`) : undefined;
  return h(
    "span",
    { class: "statistic", title: unit },
    h("span", {}, `${name} ${number(value, digits)}`, beside),
    h("span", { class: "bar", "aria-hidden": "true" }, h("b", { style: width(value) }), mark),
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
export function pathRows({ run, level }) {
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
    percent(row.test_accuracy),
    percent(row.train_accuracy),
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
