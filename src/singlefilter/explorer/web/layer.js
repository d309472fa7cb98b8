/** One layer of one sample: its arrays, and what its filters' clusters are at a threshold. */

import { clip, countNoise, listClusters, NO_FIELD, numberClusters } from "explorer/clusters.js";

const FULL = 0.8; // share of a column's elements that are on if the column counts as on (docs/files.md, full_columns)

export class Layer {
  /**
   * entry: as pack.py's layer_entry gives it; sample: the sample's name; arrays: all of the page; labels: K; rows: the
   * labels that have images.
   */
  constructor(entry, sample, arrays, labels, rows) {
    this.name = entry.name;
    this.sample = sample;
    this.title = /^\d+$/.test(entry.name) ? `layer ${entry.name}` : entry.name;
    this.filters = entry.filters;
    this.accuracies = entry.accuracies;
    this.labels = labels;
    this.rows = rows;
    this._arrays = arrays;
    this._found = new Map();
  }

  /** Give an array of the layer, or undefined. */
  array(name) {
    return this._arrays.get(`${this.sample}/${this.name}/${name}`);
  }

  /** Give one filter's part of an array whose first axis are the filters. */
  ofFilter(name, filter) {
    const values = this.array(name);
    if (!values) return undefined;
    const length = values.length / this.filters;
    return values.subarray(filter * length, (filter + 1) * length);
  }

  /** Say whether none of a filter's fields on a split is positive: they have no codes then. */
  isSilent(filter, split = "test") {
    return this.ofFilter(split, filter).every((code) => code === NO_FIELD);
  }

  /** Say whether a filter that is not silent is far weaker than the others, as layers.csv counts them. */
  isFaded(filter) {
    return this.array("faded")?.[filter] === 1 && !this.isSilent(filter);
  }

  /**
   * Give the clusters of all filters at a level, a threshold's number among the edges. For each filter: `clusters`,
   * lists of labels; `noise`; `size`, the labels per cluster; `silent`. Found once for each level.
   */
  at(level, split = "test") {
    return this._once(`${split} ${level}`, () => {
      const found = [];
      for (let filter = 0; filter < this.filters; filter++) found.push(this._measure(filter, level, split));
      return found;
    });
  }

  /** Give what is known by a key; find it the first time. */
  _once(key, find) {
    if (!this._found.has(key)) this._found.set(key, find());
    return this._found.get(key);
  }

  _measure(filter, level, split) {
    const clipped = clip(this.ofFilter(split, filter), level);
    const clusters = listClusters(numberClusters(clipped, this.labels));
    const size = clusters.length ? clusters.flat().length / clusters.length : 0;
    return { filter, clusters, noise: countNoise(clipped, clusters), size, silent: this.isSilent(filter, split) };
  }

  /** Give noise and clusters per filter that is not silent, and labels per cluster; NaN over nothing. */
  means(level, split = "test") {
    const heard = this.at(level, split).filter((found) => !found.silent);
    const sum = (value) => heard.reduce((total, found) => total + value(found), 0);
    const clusters = sum((found) => found.clusters.length);
    return {
      noise: sum((found) => found.noise) / heard.length,
      clusters: clusters / heard.length,
      cluster_size: sum((found) => found.clusters.flat().length) / clusters,
    };
  }

  /** Say whether a filter's column of a label is on: most of its elements are above the threshold. */
  columnIsOn(filter, label, level) {
    const { columns } = this._ones(level);
    return columns[filter * this.labels + label] >= FULL * this.rows.length - 1e-9;
  }

  /**
   * Count the elements above a threshold: `columns`, of each filter and column, Uint16Array (F * K); `rows`, of each
   * row over all filters that are not silent, Float64Array (K).
   */
  _ones(level) {
    return this._once(`ones ${level}`, () => {
      const columns = new Uint16Array(this.filters * this.labels);
      const rows = new Float64Array(this.labels);
      for (let filter = 0; filter < this.filters; filter++) {
        const clipped = clip(this.ofFilter("test", filter), level);
        for (let row = 0, cell = 0; row < this.labels; row++) {
          for (let column = filter * this.labels; column < (filter + 1) * this.labels; column++, cell++) {
            columns[column] += clipped[cell];
            rows[row] += clipped[cell];
          }
        }
      }
      return { columns, rows };
    });
  }

  /** Count for each pair of labels the filters with a cluster that has both: Int32Array (K * K). */
  sharedClusters(level) {
    return this._once(`shared ${level}`, () => {
      const counts = new Int32Array(this.labels ** 2);
      for (const labels of this.at(level).flatMap(({ clusters }) => clusters)) {
        for (const one of labels) for (const other of labels) counts[one * this.labels + other]++;
      }
      return counts;
    });
  }

  /** Give of each label's ones, over all filters, the share that is in clusters: Float64Array (K), NaN without ones. */
  clean(level) {
    const inside = new Float64Array(this.labels);
    for (const { clusters } of this.at(level)) {
      for (const labels of clusters) for (const label of labels) inside[label] += labels.length;
    }
    const { rows } = this._ones(level);
    return inside.map((count, label) => count / rows[label]);
  }
}
