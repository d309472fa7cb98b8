"""Synthetic tables and matrices as the stages write them, for the figures' tests: made up, and like the paper's."""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import _layoutgrid
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from singlefilter.figures import (
    axes,
    dilution,
    fields,
    layers,
    matrices,
    network,
    nulls_and_thresholds,
    style,
    success_rates,
)
from singlefilter.filters.store import FilterMatrices, LayerMatrices, write_layer
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import load_params

ROOT = Path(__file__).parents[2]
HEADING = "vgg16 on digits, 1 sample, 0.05 of the full epochs"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# statistic -> its value at the first and at the last layer; in between, values lie on a line
COURSES = {
    "accuracy": (0.62, 0.94),
    "train_accuracy": (0.94, 1.0),
    "noise": (20, 1.5),
    "noise_clustered": (20.5, 1.6),
    "clusters": (1.9, 1.0),
    "cluster_size": (1.7, 2.88),
    "appearances": (30, 150),
    "appearances_variation": (0.3, 0.05),
    "fields_in_clusters": (0.5, 0.6),
    "fields_beside_clusters": (-0.3, -0.15),
    "fields_off_clusters": (0.1, -0.006),
    "field_gap": (0.2, 0.01),
    "signal_counted": (22, 147),
    "interference_counted": (4, 31),
    "noise_counted": (14, 8.5),
    "snr_counted": (5.5, 4.8),
    "snr_counted_with_noise": (1.2, 3.7),
    "signal": (15, 90),
    "first_noise": (-2, -10),
    "first_noise_largest": (20, 29),
    "second_noise": (-8, -80),
    "snr_rms": (0.8, 3.1),
    "one_decision_share": (0.2, 1),
}
STATISTICS = ("noise", "clusters", "cluster_size")
WITHOUT_INTERVAL = ("accuracy", "train_accuracy")


@contextmanager
def drawing_style(**changes: object) -> Iterator[None]:
    """A quick style for a test, in which every warning is an error; matplotlib's parameters come back after it."""
    with warnings.catch_warnings(), matplotlib.rc_context():
        warnings.simplefilter("error")
        style.use_style(**({"dpi": 60, "font_size": 9, "colormap": "viridis"} | changes))
        yield


@contextmanager
def shaken_solver() -> Iterator[None]:
    """What constrained layout's solver finds, with other last digits: a thousand times what memory's order changes."""
    generator = np.random.default_rng(3)

    class Shaken(Bbox):
        @staticmethod
        def from_extents(*extents: float) -> Bbox:
            return Bbox.from_extents(*np.multiply(extents, 1 + generator.uniform(-1e-12, 1e-12, 4)))

    with patch.object(_layoutgrid, "Bbox", Shaken):
        yield


def rendered(figure: Figure, form: str = "png") -> bytes:
    """The bytes of a figure's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"figure.{form}"
        style.save(figure, path, form)
        return path.read_bytes()


def ticks(axis: Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def texts(axes: Axes) -> list[str]:
    """What is written in some axes."""
    return [text.get_text() for text in axes.texts]


def legend(owner: Figure | Axes) -> list[str]:
    """The entries of a figure's or of axes' legend."""
    found = owner.legends[0] if isinstance(owner, Figure) else owner.get_legend()
    return [text.get_text() for text in found.get_texts()]


CLAIMS = (
    "id,claim,paper,measured,low,high,interval_over,verdict,reason,control,control_holds,null_holds,construction,"
    "tells,choices\n"
    "decision,a filter picks one label whatever the input,1,0.75,,,,does not hold,by 0.24,,,,,no control,\n"
)


@dataclass(frozen=True)
class Tables:
    """What a run with these layers, samples, labels and epochs leaves in metrics/.

    A layer of `silent` has nothing but silent filters, and one of `clusterless` no cluster.
    """

    layers: Sequence[int] = (2, 4, 7, 10, 13)
    samples: int = 4
    class_names: Sequence[str] = CIFAR10
    epochs: int = 20
    filters_count: int = 64
    validation: bool = False
    silent: Sequence[int] = ()
    clusterless: Sequence[int] = ()
    retrained: bool = False
    controls: bool = True

    @property
    def labels_count(self) -> int:
        return len(self.class_names)

    @cached_property
    def layers_table(self) -> pd.DataFrame:
        table = pd.DataFrame({"layer": self.layers, "filters": self.filters_count, "samples": self.samples})
        place = np.linspace(0, 1, len(self.layers)) if len(self.layers) > 1 else np.ones(1)
        columns = {}
        for name, (first, last) in COURSES.items():
            mean = first + (last - first) * place
            size = 0.01 if "accuracy" in name else 0.04 * abs(first - last) + 0.01
            columns[f"{name}_mean"] = mean
            columns[f"{name}_std"] = size if self.samples > 1 else np.nan
            if name not in WITHOUT_INTERVAL:
                columns[f"{name}_low"], columns[f"{name}_high"] = mean - 2 * size, mean + 2 * size
        for variant in ("train", "reversed"):
            for name in STATISTICS:
                columns[f"{variant}_{name}_mean"] = columns[f"{name}_mean"] * 1.01
                columns[f"{variant}_{name}_std"] = columns[f"{name}_std"]
        for name, value in (("mean", 0.9), ("std", 0.01 if self.samples > 1 else np.nan)):
            columns[f"validation_accuracy_{name}"] = value if self.validation else np.nan
        sizes = np.exp(-1.2 * np.abs(np.arange(1, self.labels_count + 1) - columns["cluster_size_mean"][:, np.newaxis]))
        shares = sizes / sizes.sum(axis=1, keepdims=True)
        columns |= {f"size_share_{size}": shares[:, size - 1] for size in range(1, self.labels_count + 1)}
        table = pd.concat([table, pd.DataFrame(columns)], axis=1).assign(
            silent_filters_mean=0.0, faded_filters_mean=0.0
        )
        kept = [name for name in table if "accuracy" in name or name in ("layer", "filters", "samples")]
        table.loc[table["layer"].isin(self.silent), ~table.columns.isin(kept)] = np.nan
        table.loc[table["layer"].isin(self.silent), "silent_filters_mean"] = self.filters_count
        without = table["layer"].isin(self.clusterless)
        gone = ("cluster_size", "size_share", "noise_clustered", "fields_in", "fields_beside", "snr_counted")
        table.loc[without, table.columns.str.contains("|".join(gone))] = np.nan
        return table

    @cached_property
    def history(self) -> pd.DataFrame:
        epoch = np.arange(self.epochs + 1)
        trained = epoch > 0
        parts = []
        for seed in range(self.samples):
            part = pd.DataFrame({"epoch": epoch})
            part["learning_rate_convolutional"] = np.where(trained, 0.028 * 0.6 ** (epoch // 4), np.nan)
            part["learning_rate_fully_connected"] = np.where(trained, 0.01 * 0.6 ** (epoch // 4), np.nan)
            part["loss"] = np.where(trained, 2.0 / (epoch + 1) + 0.02 * seed, np.nan)
            part["train_accuracy"] = np.where(trained, 1 - 0.9 / (epoch + 1), np.nan)
            part["test_accuracy"] = 0.94 - 0.84 / (epoch + 1) + 0.002 * seed
            part["validation_accuracy"] = part["test_accuracy"] - 0.01 if self.validation else np.nan
            part["test_accuracy_without_bias"] = np.nan
            parts.append(part.assign(seed=seed))
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def filters(self) -> pd.DataFrame:
        rows = []
        for seed in range(self.samples):
            for layer in self.layers:
                for index in range(self.filters_count):
                    silent = layer in self.silent
                    members = "" if silent or layer in self.clusterless else "0 1" if index % 3 else "1"
                    noise = np.nan if silent else index % 7
                    count = np.nan if silent else len(members.split(";")) if members else 0
                    rows.append((seed, layer, index, noise, count, silent, members, 0, 0.9))
        columns = ["seed", "layer", "filter", "noise", "clusters", "silent", "labels"]
        return pd.DataFrame(rows, columns=[*columns, "decision_label", "decision_share"])

    @cached_property
    def labels(self) -> pd.DataFrame:
        generator = np.random.default_rng(1)
        names = ["seed", "layer", "label"]
        index = pd.MultiIndex.from_product([range(self.samples), self.layers, range(self.labels_count)], names=names)
        table = index.to_frame(index=False)
        counts = generator.poisson(55, len(table)) * ~table["layer"].isin([*self.silent, *self.clusterless])
        return table.assign(class_name=[self.class_names[label] for label in table["label"]], appearances=counts)

    @cached_property
    def nulls(self) -> pd.DataFrame:
        rows = []
        for _, layer in self.layers_table.iterrows():
            for number, null in enumerate(("ones", "columns", "labels")):
                for statistic in STATISTICS:
                    measured = layer[f"{statistic}_mean"]
                    mean, deviation = measured * (1.1 + 0.1 * number), 0.02 * measured
                    z = (measured - mean) / deviation
                    rows.append((layer["layer"], null, statistic, self.samples, 100, measured, mean, deviation, z))
        names = ["layer", "null", "statistic", "samples", "draws", "measured", "null_mean", "null_std", "z"]
        return pd.DataFrame(rows, columns=names).astype({"layer": int})

    @cached_property
    def thresholds(self) -> pd.DataFrame:
        rows = []
        for _, layer in self.layers_table.iterrows():
            for split, walk, factor in (
                ("test", "forward", 1),
                ("test", "reversed", 1.002),
                ("train", "forward", 0.96),
            ):
                for threshold in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
                    values = []
                    for statistic in STATISTICS:
                        values.append(layer[f"{statistic}_mean"] * factor * (1.3 - threshold))
                        values.append(layer[f"{statistic}_std"])
                    rows.append((layer["layer"], split, walk, threshold, *values))
        names = [f"{statistic}_{kind}" for statistic in STATISTICS for kind in ("mean", "std")]
        table = pd.DataFrame(rows, columns=["layer", "split", "walk", "threshold", *names])
        return table.astype({"layer": int})

    @cached_property
    def histograms(self) -> pd.DataFrame:
        edges = np.append(np.arange(-50, 15) / 50, 0.3)
        parts = []
        for layer in self.layers:
            for rows, center, width in (("cluster", -0.15, 0.3), ("other", -0.006, 0.06)):
                middles = (edges[:-1] + edges[1:]) / 2
                counts = np.round(5000 * np.exp(-(((middles - center) / width) ** 2))).astype(int)
                counts = np.append(40 if rows == "cluster" else 0, counts)
                counts = counts * (layer not in self.silent and (rows == "other" or layer not in self.clusterless))
                low, high = np.append(np.nan, edges[:-1]), np.append(edges[0], edges[1:])
                share = counts / counts.sum() * 0.8 if counts.any() else np.full(len(counts), np.nan)
                part = pd.DataFrame({"rows": rows, "low": low, "high": high, "count": counts, "share": share})
                parts.append(part.assign(layer=layer))
        return pd.concat(parts, ignore_index=True)[["layer", "rows", "low", "high", "count", "share"]]

    def all_figures(self, paper: style.Paper, arch: str = "vgg16") -> Iterator[tuple[str, Figure]]:
        """Every figure, by name."""
        chosen, names, table = axes.choose_layers(self.layers), self.class_names, self.layers_table
        shown = {layer: None if layer in self.silent else (3, self.fields(layer)) for layer in chosen}
        ends = axes.choose_layers(self.layers, 2)
        decided = {layer: None if layer in self.silent else (3, self.decisions(layer)) for layer in ends}
        totals = np.full_like(self.totals(), np.nan) if self.layers[-1] in self.silent else self.totals()
        backbone = load_params(ROOT / "params.yaml").archs[arch].backbone
        about = 0.3, paper, HEADING
        yield "network", network.plot_network(backbone, 32, len(names), self.layers, HEADING)
        yield "success_rates", success_rates.plot_success_rates(table, self.history, paper, HEADING)
        yield "training", success_rates.plot_training(self.history, HEADING)
        yield "layer_statistics", layers.plot_layer_statistics(table, *about)
        yield "layer_table", layers.plot_layer_table(table, self.history, *about)
        yield "cluster_sizes", layers.plot_cluster_sizes(table, *about)
        yield "label_appearances", layers.plot_label_appearances(self.labels, *about)
        yield "decisions", matrices.plot_decisions(decided, self.layers[-1:], names, HEADING)
        yield "filters", matrices.plot_filters(shown, [*shown], names, 0.3, HEADING)
        yield "field_histograms", fields.plot_field_histograms(self.histograms, table, 0.3, HEADING)
        yield "signal_to_noise", fields.plot_signal_to_noise(table, totals, names, paper, HEADING)
        yield "nulls", nulls_and_thresholds.plot_nulls(self.nulls, 0.3, HEADING)
        yield "thresholds", nulls_and_thresholds.plot_thresholds(self.thresholds, HEADING)
        yield "dilution", dilution.plot_dilution(self.dilution, names, (self.filters_count // 3, 0.94), HEADING)

    @cached_property
    def dilution(self) -> pd.DataFrame:
        return pd.concat([self._dilution(seed) for seed in range(self.samples)], ignore_index=True)

    def _dilution(self, seed: int) -> pd.DataFrame:
        count = self.filters_count
        shift = 0.004 * seed
        rows = [("none", None, 0, 1.0, 1, 0.94 + shift, None, None, None)]
        for removed in np.unique(np.linspace(0, count, 17).round().astype(int)):
            accuracy = 0.94 + shift - 0.84 * (removed / count) ** 6
            rows.append(("random", None, removed, 1 - removed / count, 20, accuracy, 0.01, None, None))
        for removed in (count // 4, count // 2) if self.retrained else ():
            rows.append(("random_retrained", None, removed, 1 - removed / count, 1, 0.935 + shift, None, None, None))
        for label in range(self.labels_count):
            rest = 0.93 - 0.01 * (label % 3)
            of_label = 0.4 + 0.02 * (label % 7) + shift
            rows.append(("label", label, count // 3, 0.7, 1, 0.88, None, of_label, rest))
            if self.controls:
                rows.append(("label_largest", label, count // 3, 0.7, 1, 0.9, None, of_label - 0.2, rest))
                rows.append(("label_random", label, count // 3, 0.7, 20, 0.93, 0.01, rest, rest))
        rows.append(("clusters", None, None, 0.24, 1, 0.91 + shift, None, None, None))
        rows.append(("magnitude", None, None, 0.24, 1, 0.9 + shift, None, None, None))
        rows.append(("random_weights", None, None, 0.24, 20, 0.7 + shift, 0.03, None, None))
        names = ["kind", "label", "removed_filters", "weights_kept", "draws", "accuracy", "accuracy_std"]
        table = pd.DataFrame(rows, columns=[*names, "label_accuracy", "rest_accuracy"])
        table = table.astype({"label": "Int64", "removed_filters": "Int64"})
        return table.assign(seed=seed, layer=max(self.layers))

    def fields(self, layer: int) -> np.ndarray:
        """One filter's normalised fields, (K, K): one cluster, and in early layers columns."""
        count = self.labels_count
        generator = np.random.default_rng(layer)
        fields = generator.normal(-0.15, 0.12, (count, count))
        members = np.sort(generator.choice(count, min(3, count), replace=False))
        late = layer >= np.median(self.layers)
        rows = members if late else np.arange(count)
        fields[np.ix_(rows, members)] = generator.uniform(0.45, 0.9, (len(rows), len(members)))
        if late:
            fields[np.ix_(members, members)] += 0.1
            fields[np.setdiff1d(np.arange(count), members)] *= 0.2
        return fields / fields.max()

    def decisions(self, layer: int) -> np.ndarray:
        """One filter's counts of decisions, int64 (K, K); in late layers one label's alone."""
        count = self.labels_count
        generator = np.random.default_rng(layer)
        shares = np.full(count, 1e-9)
        shares[1] = 1
        if layer < np.median(self.layers):
            shares[:] = generator.dirichlet(np.full(count, 0.3))
        return generator.multinomial(1000, shares / shares.sum(), size=count)

    def totals(self) -> np.ndarray:
        """The last layer's summed fields, (K, K)."""
        generator = np.random.default_rng(7)
        totals = generator.normal(-5, 12, (self.labels_count, self.labels_count))
        np.fill_diagonal(totals, generator.normal(90, 8, self.labels_count))
        return totals

    def write(self, params: Params) -> None:
        """Write what the stage figures reads, as made with these parameters, into the present folder."""
        files, names = Workspace(params), {"layers": "layers_table"}
        for name in ("layers", "filters", "labels", "nulls", "thresholds", "histograms"):
            files.write_table(name, getattr(self, names.get(name, name)))
        files.write_table("training", self.history.assign(test_accuracy_without_bias=np.nan))
        files.write_text("claims", CLAIMS)
        for seed in range(self.samples):
            files.write_table("dilution", self._dilution(seed), seed=seed)
            with files.write("matrices", seed=seed) as file:
                for layer in self.layers:
                    split = self._matrices(layer)
                    faded = np.zeros(len(split.fields), dtype=bool)
                    write_layer(file, layer, LayerMatrices(self.class_names, {}, faded, {"test": split}))

    def _matrices(self, layer: int) -> FilterMatrices:
        sums = -np.abs(self.fields(layer)) if layer in self.silent else 1000 * self.fields(layer)
        fields, decisions = ([matrix] * self.filters_count for matrix in (sums, self.decisions(layer)))
        return FilterMatrices(
            np.stack(fields), np.stack(decisions), np.full(self.labels_count, 1000), np.zeros(len(fields))
        )
