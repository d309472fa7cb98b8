/** The test images, and one image: how the last head's decision adds up. */

import { ALL } from "explorer/gallery.js";
import { choice, count, digits, h, steps, table } from "explorer/html.js";

export const KINDS = { mistaken: "mistaken", right: "right", all: "all" };
const LISTED = 200; // images at a time
const PARTS = 10; // filters for each side of a decision
const OUTPUTS = 20; // the largest, and the label's own
const SIDE = 48; // pixels, of a picture in a list

/** Say what an image is: its number, its name, its label, and what a head decides if it is mistaken. */
export function aboutImage({ run }, layer, image) {
  const label = run.labels[image];
  const decided = layer.array("predictions")[image];
  const right = decided === label;
  const name = run.about.names[image];
  return {
    label,
    decided,
    right,
    text: `image ${image} (${name}): ${run.names[label]}${right ? "" : `, decided ${run.names[decided]}`}`,
  };
}

/** Draw images in a row: `found` are their numbers, with the fields that they are shown for, if any. */
export function thumbnails(view, found) {
  const { run, layer } = view;
  const items = found.map(({ image, field }) => {
    const { label, decided, right, text } = aboutImage(view, layer, image);
    const about = field === undefined ? text : `${text}; field ${digits(field)}`;
    return h(
      "li",
      {},
      h(
        "a",
        {
          href: view.address({ view: "images", image }),
          title: about,
          class: right ? undefined : "mistaken",
          "data-number": image,
          "aria-current": view.state.view === "images" && image === view.state.image ? "true" : undefined,
        },
        run.pictures.draw(image, SIDE, about),
        h("span", {}, run.names[label]),
        right ? undefined : h("span", {}, `✗\u00a0${run.names[decided]}`),
        field === undefined ? undefined : h("small", {}, digits(field)),
      ),
    );
  });
  return h("ul", { class: "thumbnails" }, items);
}

/** Give the images that a layer's head mistakes, or others, as they are chosen. */
export function chosenImages({ run, layer, state }) {
  const predictions = layer.array("predictions");
  const found = [];
  run.labels.forEach((label, image) => {
    const mistaken = predictions[image] !== label;
    if (state.kind === "mistaken" && !mistaken || state.kind === "right" && mistaken) return;
    if (state.on >= 0 && label !== state.on) return;
    if (state.as >= 0 && predictions[image] !== state.as) return;
    found.push(image);
  });
  return found;
}

/** Give the images that follow each other: those of the list, or all if the one that is shown is not in it. */
export function listedImages(view) {
  const chosen = chosenImages(view);
  return view.state.image === undefined || chosen.includes(view.state.image) ? chosen : [...view.run.labels.keys()];
}

export function drawImages(view) {
  const { run, layer, state } = view;
  const found = chosenImages(view);
  const counted = (changes) => chosenImages({ ...view, state: { ...state, ...changes } }).length;
  const kinds = Object.entries(KINDS)
    .map(([key, text]) => [key, `${text} (${counted({ kind: key })})`]);
  const labels = (
    key,
  ) => [[-1, "any"], ...run.names.map((name, label) => [label, `${name} (${counted({ [key]: label })})`])];
  const change = (key, read = String) => (value) => view.go({ [key]: read(value) });
  const predictions = layer.array("predictions");
  const mistaken = run.labels.reduce((sum, label, image) => sum + Number(predictions[image] !== label), 0);
  const open = (event) => {
    event.preventDefault();
    const image = Number(new FormData(event.target).get("number"));
    if (Number.isInteger(image) && image >= 0 && image < run.labels.length) view.go({ image });
  };
  return [
    h("h2", {}, `${count(found.length, "test image")}`),
    h(
      "p",
      { class: "note" },
      `The head on ${layer.title} mistakes ${mistaken.toLocaleString("en")} of the ${
        run.labels.length.toLocaleString("en")
      } images here.`,
    ),
    h("form", { class: "choices", onsubmit: open }, [
      choice("kind", "decided", kinds, state.kind, change("kind")),
      choice("on", "label", labels("on"), state.on, change("on", Number)),
      choice("as", "decided as", labels("as"), state.as, change("as", Number)),
      h(
        "label",
        { for: "number" },
        "image ",
        h("input", {
          id: "number",
          name: "number",
          type: "number",
          min: 0,
          max: run.labels.length - 1,
          value: state.image,
          required: true,
        }),
      ),
      h("button", {}, "show"),
    ]),
    thumbnails(view, found.slice(0, LISTED).map((image) => ({ image }))),
    found.length > LISTED ? h("p", {}, `The first ${LISTED} are drawn; narrow them to see the others.`) : undefined,
  ];
}

/** Give the outputs of the last head on an image, and each filter's part of the difference of two of them. */
export function explain({ run, sample }, image, label, other) {
  const fields = run.fields(sample, image);
  if (!fields) return undefined;
  const labels = run.names.length;
  const outputs = new Float64Array(labels);
  fields.forEach((field, cell) => outputs[cell % labels] += field);
  const parts = [];
  for (let filter = 0; filter < fields.length / labels; filter++) {
    const [mine, others] = [fields[filter * labels + label], fields[filter * labels + other]];
    parts.push({ filter, mine, others, difference: mine - others });
  }
  return {
    fields,
    outputs,
    parts: parts.sort((one, two) => two.difference - one.difference || one.filter - two.filter),
  };
}

/** Give the two labels that are compared: what the head decides, and the image's own, or the next best if it is right. */
export function comparedLabels(view) {
  const { run, sample, state } = view;
  const last = sample.layers[sample.layers.length - 1];
  const { label, decided, right } = aboutImage(view, last, state.image);
  const found = explain(view, state.image, decided, label);
  const ranked = found ? run.names.map((_, of) => of).sort((one, two) => found.outputs[two] - found.outputs[one]) : [];
  const next = ranked.find((of) => of !== decided) ?? (decided ? 0 : 1);
  const named = (key, otherwise) => state[key] in run.names ? state[key] : otherwise;
  const mine = named("for", decided);
  const other = named("against", right ? next : label);
  return [mine, other === mine ? ranked.find((of) => of !== mine) ?? next : other];
}

export function drawImage(view) {
  const { run, sample, state } = view;
  const { image } = state;
  const last = sample.layers[sample.layers.length - 1];
  const { label, decided, right } = aboutImage(view, last, image);
  const path = sample.layers.map((layer) => {
    const of = layer.array("predictions")[image];
    return [layer.title, `${run.names[of]}${of === label ? "" : " ✗"}`];
  });
  const words = right
    ? `The head on ${last.title} is right.`
    : `The head on ${last.title} decides ${run.names[decided]}.`;
  return [
    h("h2", {}, `image ${image}: ${run.names[label]}`),
    steps(view, "image", listedImages(view)),
    h(
      "div",
      { class: "image" },
      run.pictures.draw(image, 160, `image ${image}, ${run.names[label]}`),
      h("div", {}, [
        h("p", {}, `Name: ${run.about.names[image]}`),
        h("p", { class: "words" }, words),
        table("What the head of each layer decides", ["layer", "decision"], path),
      ]),
    ),
    decision(view, last),
  ];
}

function decision(view, last) {
  const { run, state } = view;
  const [mine, other] = comparedLabels(view);
  const found = explain(view, state.image, mine, other);
  if (!found) {
    return h(
      "p",
      {},
      `The page holds what decisions are made of for the first ${view.sample.explained.toLocaleString("en")} images.`,
    );
  }
  const { outputs, parts } = found;
  const names = run.names;
  const optionsBut = (but) => names.map((name, of) => [of, name]).filter(([of]) => of !== but);
  const best = (of) => {
    const labels = names.length;
    const fields = parts.map(({ filter }) => ({ filter, field: found.fields[filter * labels + of] }));
    return fields.sort((one, two) => two.field - one.field).slice(0, 3).filter(({ field }) => field > 0);
  };
  const link = (filter, text = `filter ${filter}`) =>
    h("a", { href: view.address({ ...ALL, view: "filters", layer: last.name, filter }) }, text);
  const most = Math.max(...[...outputs].map(Math.abs));
  const ranked = names.map((name, of) => [of, name, outputs[of]]).sort((one, two) => two[2] - one[2]);
  const own = run.labels[state.image];
  const shown = ranked.filter(([of], place) => place < OUTPUTS || of === own);
  const rows = shown.map(([of, name, output]) => [
    of === own ? h("strong", {}, `${name} (its label)`) : name,
    digits(output),
    meter(output, most),
    best(of).flatMap(({ filter, field }) => [link(filter, `${filter}`), ` ${digits(field)}  `]),
  ]);
  return h("section", {}, [
    h("h3", {}, `How the decision adds up`),
    table(
      `Outputs of the head on ${last.title}${howMany(shown, ranked)}: sums of the fields of ${
        count(last.filters, "filter")
      }`,
      [
        "label",
        "output",
        "",
        "filters that speak most for it",
      ],
      rows,
    ),
    h("form", { class: "choices" }, [
      choice("for", "why", optionsBut(other), mine, (value) => view.go({ for: Number(value) })),
      choice("against", "and not", optionsBut(mine), other, (value) => view.go({ against: Number(value) })),
    ]),
    h("p", { class: "words" }, partsInWords(names, found, mine, other)),
    partsTable(names, parts, mine, other, link),
    h(
      "p",
      { class: "note" },
      "Features are rounded to 255 steps here, so sums may differ from the head's in the third digit.",
    ),
  ]);
}

/** Say how many of something are shown, if not all are. */
const howMany = (shown, all) => shown.length < all.length ? ` (${shown.length} of ${all.length})` : "";

/** Give the rows of a decision: the filters that matter most, and all others together, adding up to the difference. */
function decisionRows(parts) {
  const few = parts.length <= 2 * PARTS;
  const first = few ? parts : parts.slice(0, PARTS);
  const last = few ? [] : parts.slice(-PARTS);
  const rest = few ? [] : parts.slice(PARTS, -PARTS);
  const sum = (of, key) => of.reduce((total, part) => total + part[key], 0);
  const together = {
    filters: rest.length,
    mine: sum(rest, "mine"),
    others: sum(rest, "others"),
    difference: sum(rest, "difference"),
  };
  return few ? first : [...first, together, ...last];
}

/** Say how the filters share in a decision. */
function partsInWords(names, { outputs, parts }, mine, other) {
  const difference = outputs[mine] - outputs[other];
  const speaking = parts.filter((part) => part.difference > 0).length;
  const against = parts.filter((part) => part.difference < 0).length;
  const first = parts.slice(0, Math.min(PARTS, speaking)).reduce((sum, part) => sum + part.difference, 0);
  const which = difference < 0 ? `less than ${names[other]}` : `more than ${names[other]}`;
  return `${names[mine]} gets ${digits(Math.abs(difference))} ${which}: ${
    count(speaking, "filter speaks", "filters speak")
  } for ` +
    `${names[mine]}, ${against} for ${names[other]}, and ${parts.length - speaking - against} for neither; ${
      speaking > PARTS ? `the ${PARTS} strongest` : "those"
    } for ${names[mine]} make ${digits(first)}.`;
}

function partsTable(names, parts, mine, other, link) {
  const rows = decisionRows(parts);
  const most = Math.max(
    ...rows.filter(({ filter }) => filter !== undefined).map(({ difference }) => Math.abs(difference)),
  );
  let sum = 0;
  const body = rows.map((row) => {
    sum += row.difference;
    const name = row.filters === undefined ? link(row.filter) : `the ${row.filters} others together`;
    return [
      name,
      digits(row.mine),
      digits(row.others),
      digits(row.difference),
      row.filters === undefined ? meter(row.difference, most) : "",
      digits(sum),
    ];
  });
  const heads = ["", names[mine], names[other], "difference", "", "added up"];
  return table(
    `Fields on ${names[mine]} and ${names[other]}, of the filters that matter most, and their sum`,
    heads,
    body,
  );
}

function meter(value, most) {
  const width = `width: ${Math.min(50, (50 * Math.abs(value)) / most || 0)}%; ${value < 0 ? "right" : "left"}: 50%`;
  return h(
    "span",
    { class: value < 0 ? "meter below" : "meter", "aria-hidden": "true" },
    h("b", { style: width }),
  );
}
