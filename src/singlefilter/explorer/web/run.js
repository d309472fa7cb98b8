/** The run that the page shows: its samples with their layers, its labels and its test images. */

import { NO_FIELD } from "explorer/clusters.js";
import { Pictures } from "explorer/draw.js";
import { Layer } from "explorer/layer.js";

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

export class Run {
  constructor({ about, arrays }, image) {
    this.about = about;
    // Isolated, lest a name from right to left turns round what is beside it.
    this.names = about.class_names.map((name) => RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name);
    this.rows = this.names.map((_, label) => label).filter((label) => about.images_per_label[label] > 0);
    this.pictures = about.pictures ? new Pictures(image, about.pictures) : undefined;
    this.labels = arrays.get("labels"); // of the test images
    this._arrays = arrays;
    this.samples = about.samples.map((sample) => ({
      ...sample,
      layers: sample.layers.map((entry) => new Layer(entry, sample.name, arrays, this.names.length, this.rows)),
    }));
  }

  /** Give an array of a sample, or undefined. */
  array(sample, name) {
    return this._arrays.get(`${sample.name}/${name}`);
  }

  /** Give a threshold's number among the edges of the codes. */
  level(threshold) {
    return this.about.edges.indexOf(threshold);
  }

  /** Give the value of a field's code: the field, rounded up to hundredths. */
  value(code) {
    return code === NO_FIELD ? NaN : this.about.edges[Math.min(code, this.about.edges.length - 1)];
  }

  /** Write the value of a field's code. */
  fieldText(code) {
    if (code === NO_FIELD) return "n/a";
    const text = String(Math.round(this.value(code) * 1e4) / 1e4).replace("-", "−");
    return code === 0 ? `${text} or less` : text;
  }

  /**
   * Give the fields of all filters of a sample's last layer on one image: Float64Array (F * K), whose sum over filters
   * are the head's outputs. Undefined where the page does not hold the image's features.
   */
  fields(sample, image) {
    if (image >= sample.explained) return undefined;
    const [codes, steps, zeros, weights] = ["codes", "steps", "zeros", "weights"].map((name) =>
      this.array(sample, name)
    );
    const [filters, labels] = [steps.length, this.names.length];
    const positions = weights.length / (filters * labels);
    const fields = new Float64Array(filters * labels);
    for (let filter = 0; filter < filters; filter++) {
      for (let position = 0; position < positions; position++) {
        const place = filter * positions + position;
        const code = codes[image * filters * positions + place];
        const feature = steps[filter] * (code - zeros[filter]);
        for (let label = 0; feature !== 0 && label < labels; label++) {
          fields[filter * labels + label] += feature * weights[label * filters * positions + place];
        }
      }
    }
    return fields;
  }
}
