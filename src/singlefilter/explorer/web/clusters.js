/**
 * A filter's clusters and noise, as src/singlefilter/filters/clusters.py finds them, and the nulls of
 * src/singlefilter/statistics/nulls.py. A matrix is an array of K × K elements, row by row; row i is input label i.
 */

export const NO_FIELD = 255; // the code of a field that does not exist
export const NULLS = {
  ones: "as many ones at random places",
  columns: "the ones of each column shuffled within it",
  labels: "input labels permuted against the outputs",
};

/** Mark the codes that are above a threshold, whose own number among the edges is `level`: Uint8Array (K * K). */
export function clip(codes, level) {
  const clipped = new Uint8Array(codes.length);
  for (let cell = 0; cell < codes.length; cell++) {
    clipped[cell] = codes[cell] > level && codes[cell] !== NO_FIELD ? 1 : 0;
  }
  return clipped;
}

/**
 * Walk along the diagonal: the first label in no cluster, its own element on, starts a cluster; each later one joins
 * if its elements with itself and with all members, both ways, are on.
 * Returns Int16Array (K): the number of each label's cluster, -1 in none.
 */
export function numberClusters(clipped, count) {
  const numbers = new Int16Array(count).fill(-1);
  let number = 0;
  for (let first = 0; first < count; first++) {
    if (numbers[first] >= 0 || !clipped[first * count + first]) continue;
    const members = [first];
    numbers[first] = number;
    for (let label = first + 1; label < count; label++) {
      if (numbers[label] >= 0 || !clipped[label * count + label]) continue;
      if (members.every((member) => clipped[member * count + label] && clipped[label * count + member])) {
        members.push(label);
        numbers[label] = number;
      }
    }
    number++;
  }
  return numbers;
}

/** Give the clusters as lists of labels, in the order of the walk. */
export function listClusters(numbers) {
  const clusters = [];
  numbers.forEach((number, label) => {
    if (number >= 0) (clusters[number] ??= []).push(label);
  });
  return clusters;
}

/** Count the elements that are on and in no cluster's block. */
export function countNoise(clipped, clusters) {
  let ones = 0;
  for (let cell = 0; cell < clipped.length; cell++) ones += clipped[cell];
  return ones - clusters.reduce((sum, labels) => sum + labels.length ** 2, 0);
}

/** Order all labels so that each cluster's stand together, the labels in no cluster last. */
export function order(clusters, count) {
  const clustered = clusters.flat();
  const rest = Array.from({ length: count }, (_, label) => label).filter((label) => !clustered.includes(label));
  return [...clustered, ...rest];
}

/** Give a generator of random numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(values, random) {
  const result = [...values];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}

/**
 * Draw a matrix at random that keeps what a null keeps: "ones" their number; "columns" those of each column; "labels"
 * the rows, in a random order. Only `rows`, the labels that have images, are filled.
 */
function drawNull(name, clipped, count, rows, random) {
  const drawn = new Uint8Array(count * count);
  const columns = Array.from({ length: count }, (_, column) => column);
  const put = (cells, values) => cells.forEach((cell, place) => drawn[cell] = values[place]);
  const cellsOf = (row) => columns.map((column) => row * count + column);
  const ones = (cells) => cells.map((cell) => clipped[cell]);
  if (name === "ones") {
    const cells = rows.flatMap(cellsOf);
    put(cells, shuffled(ones(cells), random));
  } else if (name === "columns") {
    for (const column of columns) {
      const cells = rows.map((row) => row * count + column);
      put(cells, shuffled(ones(cells), random));
    }
  } else {
    const from = shuffled(rows, random);
    rows.forEach((row, place) => put(cellsOf(row), ones(cellsOf(from[place]))));
  }
  return drawn;
}

/** Give mean and standard deviation of noise, clusters and cluster size over draws of a null of one filter. */
export function measureNull(name, clipped, count, rows, draws, random) {
  const found = { noise: [], clusters: [], size: [] };
  for (let draw = 0; draw < draws; draw++) {
    const drawn = drawNull(name, clipped, count, rows, random);
    const clusters = listClusters(numberClusters(drawn, count));
    found.noise.push(countNoise(drawn, clusters));
    found.clusters.push(clusters.length);
    if (clusters.length) found.size.push(clusters.flat().length / clusters.length);
  }
  return Object.fromEntries(Object.entries(found).map(([key, values]) => [key, meanAndDeviation(values)]));
}

function meanAndDeviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, Math.sqrt(squares / (values.length - 1))];
}
