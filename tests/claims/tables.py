"""Runs whose tables are made up so that every claim that they can show holds, to be changed number by number."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from singlefilter.claims.judge import judge
from singlefilter.claims.run import Run
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import parse_params

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
VALUES = YAML(typ="safe").load(PARAMS) | YAML(typ="safe").load(PARAMS.with_name("catalog.yaml"))
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)

EXAMINED = {"vgg16": [2, 4, 7, 8, 10, 11, 13], "vgg6": [1, 2, 3, 4, 5], "avgg16": [13]}
ACCURACY = {"vgg16": 0.94, "vgg6": 0.92, "avgg16": 0.955}
NOISE = {
    "vgg16": {2: 20, 4: 12, 7: 8, 8: 10, 10: 3.8, 11: 6, 13: 1.5},
    "vgg6": {1: 20, 2: 15, 3: 10, 4: 6, 5: 3.14},
    "avgg16": {13: 1.1},
}
SIZE = {"vgg16": 2.88, "vgg6": 2.6, "avgg16": 2.5}
LAYER7 = {"clusters": 1.3, "cluster_size": 1.66, "appearances": 55}
LAYER10 = {"clusters": 1.5, "cluster_size": 1.5}
SHARES = [0.24, 0.12, 0.6, 0.04, 0, 0, 0, 0, 0, 0]  # of the last layer's clusters: mostly three labels


class Tables:
    """The numbers of a run of which every claim that it can show holds, to be changed one by one."""

    def __init__(self, arch: str, seeds: list[int], **changes: Any):
        self.values = copy.deepcopy(VALUES) | {"dataset": "cifar10", "arch": arch, "epochs_scale": 1, "seeds": seeds}
        self.values |= changes
        row = self.values["archs"][arch]
        numbers = next((name for name in ("avgg16", "vgg6") if arch.startswith(name)), "vgg16")
        row["examined_layers"] = EXAMINED.get(arch, row["examined_layers"])
        self.widths = [item for item in row["backbone"]["convolutions"] if isinstance(item, int)]
        self.std = 0.004 if len(seeds) > 1 else math.nan
        self.accuracies = dict.fromkeys(seeds, ACCURACY[numbers])
        self.without_bias = dict.fromkeys(seeds, math.nan)
        self.validation = dict.fromkeys(seeds, math.nan)
        self.layers = {}
        self.noise_at, self.clusters_at, self.size_at, self.nulls = {}, {}, {}, {}
        layers = row["examined_layers"]
        for place, layer in enumerate(layers):
            noise = NOISE[numbers].get(layer, 5.0)
            means = {"noise": noise, "clusters": 1, "cluster_size": SIZE[numbers], "appearances": 150}
            means |= {7: LAYER7, 10: LAYER10}.get(layer, {})
            means |= {"appearances_variation": 0.05, "field_gap": 0.01, "fields_beside_clusters": -0.2}
            means |= {"signal": 150, "first_noise": 25, "first_noise_largest": 30}
            means |= {"snr_counted": 4.5, "snr_counted_with_noise": 4, "second_noise": -9}
            means |= {"one_decision_share": 1, "few_decisions_share": 0.8, "single_accuracy": 0.1}
            means |= {"full_columns": 2, "full_columns_share": 0.8}
            means |= {"accuracy": ACCURACY[numbers] - 0.05 * (len(layers) - 1 - place), "train_accuracy": 0.999}
            for name in ("noise", "clusters", "cluster_size"):
                means |= {f"train_{name}": means[name], f"reversed_{name}": means[name]}
            shares = [0.6, 0.3, 0.08, 0.02, 0, 0, 0, 0, 0, 0] if place < len(layers) - 1 else SHARES
            self.layers[layer] = means | {"shares": shares, "silent_filters": 0, "faded_filters": 0}
            self.noise_at[layer] = {threshold: noise for threshold in THRESHOLDS}
            self.clusters_at[layer] = {threshold: 1.0 for threshold in THRESHOLDS}
            self.size_at[layer] = {threshold: means["cluster_size"] for threshold in THRESHOLDS}
            self.nulls[layer] = {"noise": 18.0, "clusters": 3.0, "cluster_size": 1.2}
        if arch == "vgg16":
            self.layers[10]["accuracy"] = self.layers[11]["accuracy"] = 0.94
        self.loss_random, self.loss_label = dict.fromkeys(seeds, 0.0), dict.fromkeys(seeds, 0.1)

    def run(self) -> Run:
        params = parse_params(self.values)
        histories, dilution = self._histories(params), self._dilution(params)
        return Run(params, self._layers(), self._thresholds(), self._nulls(), histories, dilution)

    def write(self, root: Path) -> Params:
        """Write params.yaml and metrics/ as a run of the chain leaves them in the project's folder; give the former."""
        run, metrics = self.run(), root / "metrics"
        for kind in ("history", "dilution"):
            (metrics / kind).mkdir(parents=True, exist_ok=True)
        tables = {"layers": run.layers, "thresholds": run.thresholds, "nulls": run.nulls, "claims": judge(run)}
        tables |= {name: pd.DataFrame({"layer": [1]}) for name in ("labels", "histograms")}
        for seed in run.params.seeds:
            tables[f"history/seed{seed}"] = run.histories[run.histories["seed"] == seed].drop(columns="seed")
            tables[f"dilution/seed{seed}"] = run.dilution[run.dilution["seed"] == seed]
        for name, table in tables.items():
            table.to_csv(metrics / f"{name}.csv", index=False, float_format="%.6g")
        (metrics / "summary.json").write_text(json.dumps({"samples": run.samples}), encoding="utf-8")
        rows = {name: self.values["archs"][name] for name in (self.values["arch"], "vgg16_l11to13_120")}
        catalog = {"datasets": self.values["datasets"], "archs": rows}
        YAML().dump({key: value for key, value in self.values.items() if key not in catalog}, root / "params.yaml")
        YAML().dump(catalog, root / "catalog.yaml")
        return run.params

    def _layers(self) -> pd.DataFrame:
        rows = []
        for layer, means in self.layers.items():
            row = {"layer": layer, "filters": self.widths[layer - 1], "samples": len(self.accuracies)}
            row["test_images"] = 10_000
            for name, value in means.items():
                if name.endswith("_filters"):
                    row[f"{name}_mean"] = value
                elif name == "shares":
                    row |= {f"size_share_{size}": share for size, share in enumerate(value, start=1)}
                else:
                    row |= {f"{name}_mean": value, f"{name}_std": self.std}
                    row |= {f"{name}_low": value - 0.5, f"{name}_high": value + 0.5}
            rows.append(row)
        return pd.DataFrame(rows)

    def _thresholds(self) -> pd.DataFrame:
        rows = []
        for layer, noise in self.noise_at.items():
            for threshold in THRESHOLDS:
                row = {"layer": layer, "threshold": threshold, "noise_mean": noise[threshold], "noise_std": self.std}
                row |= {"clusters_mean": self.clusters_at[layer][threshold], "clusters_std": self.std}
                row |= {"cluster_size_mean": self.size_at[layer][threshold], "cluster_size_std": self.std}
                rows.append(row | {"split": "test", "walk": "forward"})
                spoiled = {"noise_mean": 99.0 * layer, "clusters_mean": 9.0}  # these rows are not to be read
                rows += [row | spoiled | {"split": "train", "walk": "forward"}]
                rows += [row | spoiled | {"split": "test", "walk": "reversed"}]
        return pd.DataFrame(rows)

    def _nulls(self) -> pd.DataFrame:
        rows = [
            {"layer": layer, "null": null, "statistic": name, "null_mean": value if null == "labels" else 77.0}
            for layer, means in self.nulls.items()
            for null in ("ones", "labels")  # the first is not to be read
            for name, value in means.items()
        ]
        return pd.DataFrame(rows)

    def _histories(self, params: Params) -> pd.DataFrame:
        rows, epochs = [], params.epochs(params.chosen_arch.backbone.epochs)
        for seed, accuracy in self.accuracies.items():
            rows.append({"seed": seed, "epoch": 0, "test_accuracy": 0.1, "test_accuracy_without_bias": 0.1})
            last = {"validation_accuracy": self.validation[seed], "test_accuracy_without_bias": self.without_bias[seed]}
            rows.append({"seed": seed, "epoch": epochs, "test_accuracy": accuracy} | last)
        return pd.DataFrame(rows)

    def _dilution(self, params: Params) -> pd.DataFrame:
        rows = []
        for seed, accuracy in self.accuracies.items():
            kinds = [("none", None, 0, accuracy), ("random", None, 0, accuracy), ("random", None, 160, 0.5)]
            kinds += [("random", None, 150, accuracy - self.loss_random[seed])]
            kinds += [("label", 0, 90, accuracy - self.loss_label[seed]), ("label", 1, 90, accuracy)]
            kinds += [("label_largest", 0, 90, accuracy - 0.08), ("label_random", 0, 90, accuracy - 0.001)]
            kinds += [("label_largest", 1, 90, accuracy - 0.5), ("label_random", 1, 90, accuracy - 0.5)]
            for kind, label, removed, value in kinds:
                row = {"seed": seed, "layer": params.chosen_arch.examined_layers[-1], "kind": kind, "label": label}
                rows.append(row | {"removed_filters": removed, "accuracy": value})
        return pd.DataFrame(rows).astype({"label": "Int64", "removed_filters": "Int64"})


def tables(arch: str = "vgg16", seeds: tuple[int, ...] = (0, 1), **changes: Any) -> Tables:
    return Tables(arch, list(seeds), **changes)


def with_biases(arch: str) -> Tables:
    changed = tables(arch)
    changed.values["archs"][arch]["backbone"]["output_bias"] = True
    changed.without_bias = dict(changed.accuracies)
    return changed


def held_out(arch: str) -> Tables:
    changed = tables(arch, validation={"images": 10000, "seed": 0})
    changed.validation = dict(changed.accuracies)
    return changed


def row(table: pd.DataFrame, name: str) -> pd.Series:
    return table.set_index("id").loc[name]
