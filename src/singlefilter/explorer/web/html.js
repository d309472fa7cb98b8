/** Elements of the page, made without markup, so that a name with `<` in it is text. */

/** Make an element. A property `on…` listens, others are attributes; children are elements, texts, or nothing. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false),
  );
  return element;
}

/** Make a table: `heads` are texts; a row's first cell names it; a cell is a text or an element. */
export function table(caption, heads, rows) {
  const head = h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text))));
  const body = rows.map(([first, ...rest]) =>
    h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell)))
  );
  const scrolled = { class: "scroll", tabindex: 0, role: "region", "aria-label": caption };
  return h("div", scrolled, h("table", {}, h("caption", {}, caption), head, h("tbody", {}, body)));
}

/** Make the links to what is before and after what is chosen, and the one that closes it. */
export function steps(view, key, all) {
  const place = all.indexOf(view.state[key]);
  const link = (id, number, text) => h("a", { id, href: view.address({ [key]: number }) }, text);
  const to = (id, other, text) => all[other] === undefined ? undefined : link(id, all[other], text);
  return h(
    "p",
    { class: "steps" },
    to("previous", place - 1, "← previous"),
    to("next", place + 1, "next →"),
    link("close", undefined, "close"),
  );
}

/** Make a labelled choice: `options` are pairs of a value and a text; `spoken`, what the label says read alone. */
export function choice(id, label, options, value, chosen, spoken = undefined) {
  const items = options.map(([key, text]) =>
    h("option", { value: key, selected: String(key) === String(value) }, text)
  );
  const onchange = (event) => chosen(event.target.value);
  const select = h("select", { id, onchange, "aria-label": spoken }, items);
  return h("label", { for: id }, `${label} `, select);
}

/** Write a number with so many digits after the point; n/a if there is none. */
export function number(value, digits = 2) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "n/a";
}

/** Write a number with three digits that count; a tiny one as 1.23e−7. */
export function digits(value) {
  if (value && Math.abs(value) < 1e-4) return value.toExponential(2).replaceAll("-", "−");
  return number(value, value ? Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))) : 0);
}

/** Write a fraction as per cent. */
export function percent(value, digits = 1) {
  return Number.isFinite(value) ? `${number(100 * value, digits)}\u00a0%` : "n/a";
}

/** Write a count and what is counted. */
export function count(value, one, several = `${one}s`) {
  return `${value.toLocaleString("en")} ${value === 1 ? one : several}`;
}

/** Put names together as words: "cat, dog and ship". */
export function list(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}
