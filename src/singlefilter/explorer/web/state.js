/** What is chosen, and the address that says so: `#layer=10&filter=25`. */

const NUMBERS = ["filter", "label", "image", "on", "both", "size", "as", "for", "against", "threshold"];

/** Read an address's fragment; what it does not name has its default. What should be a number and is none stays text. */
export function parseState(fragment, defaults) {
  const state = { ...defaults };
  for (const [key, value] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    const number = NUMBERS.includes(key) && value.trim() && Number.isFinite(Number(value));
    state[key] = number ? Number(value) : value;
  }
  return state;
}

/** Write the fragment of a state: what differs from its defaults. */
export function formatState(state, defaults) {
  const named = Object.entries(state).filter(([key, value]) => value !== undefined && value !== defaults[key]);
  return `#${new URLSearchParams(named)}`;
}
