/** The page's data: texts and tables as they are, arrays unpacked. */

const TYPES = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  int32: Int32Array,
  float32: Float32Array,
};

/** Decode and inflate the arrays; give them by their names. */
async function unpack(base64, sections) {
  const letters = atob(base64);
  const packed = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) packed[place] = letters.charCodeAt(place);
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const content = await new Response(inflated).arrayBuffer();
  const arrays = new Map();
  for (const [name, [type, shape, first]] of Object.entries(sections)) {
    const count = shape.reduce((product, length) => product * length, 1);
    arrays.set(name, new TYPES[type](content, first, count));
  }
  return arrays;
}

/** Read what the page holds: `about`, as pack.py describes it, and `arrays`, by name. */
export async function readData() {
  const about = JSON.parse(document.getElementById("about").textContent);
  const arrays = await unpack(document.getElementById("arrays").textContent, about.sections);
  return { about, arrays };
}
