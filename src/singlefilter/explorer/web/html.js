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
  return h("div", { class: "scroll" }, h("table", {}, h("caption", {}, caption), head, h("tbody", {}, body)));
}

/** Make the links to what is before and after what is chosen, and the one that closes it. */
export function steps(view, key, all) {
  const place = all.indexOf(view.state[key]);
  const to = (other, text) =>
    all[other] === undefined ? undefined : h("a", { href: view.address({ [key]: all[other] }) }, text);
  const close = h("a", { href: view.address({ [key]: undefined }) }, "close");
  return h("p", { class: "steps" }, to(place - 1, "← previous"), to(place + 1, "next →"), close);
}

/** Make a labelled choice: `options` are pairs of a value and a text. */
export function choice(id, label, options, value, chosen) {
  const items = options.map(([key, text]) =>
    h("option", { value: key, selected: String(key) === String(value) }, text)
  );
  const select = h("select", { id, onchange: (event) => chosen(event.target.value) }, items);
  return h("label", { for: id }, `${label} `, select);
}

/** Write a number with so many digits after the point; n/a if there is none. */
export function number(value, digits = 2) {
  return Number.isFinite(value) ? value.toFixed(digits).replace("-", "−") : "n/a";
}

/** Write a number with three digits that count. */
export function digits(value) {
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
