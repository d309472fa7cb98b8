"""One run of the chain, as its tables tell it."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from singlefilter.pipeline.params import Params


@dataclass(frozen=True)
class Run:
    """One run of the chain.

    Attributes:
        params: What the run was.
        layers: metrics/layers.csv.
        thresholds: metrics/thresholds.csv.
        nulls: metrics/nulls.csv.
        histories: metrics/history/seed*.csv of all samples, with a column `seed`.
        dilution: metrics/dilution/seed*.csv of all samples.
    """

    params: Params
    layers: pd.DataFrame
    thresholds: pd.DataFrame
    nulls: pd.DataFrame
    histories: pd.DataFrame
    dilution: pd.DataFrame

    @property
    def samples(self) -> int:
        """The number of trained samples."""
        return len(self.params.seeds)

    @property
    def network(self) -> str:
        """The row of archs, and whether it is trained with output biases, which the paper's are not."""
        biases = " with output biases" if self.params.chosen_arch.backbone.output_bias else ""
        return f"{self.params.arch}{biases}"

    @property
    def label_count(self) -> int:
        """K; layers.csv has the share of clusters of each size up to it."""
        return sum(name.startswith("size_share_") for name in self.layers)

    @property
    def last_epochs(self) -> pd.DataFrame:
        """The last row of each sample's history, by seed: the success rate is that after the last epoch."""
        return self.histories.groupby("seed").tail(1).set_index("seed")

    @cached_property
    def by_layer(self) -> dict[int, dict[str, float]]:
        """The rows of layers.csv, by layer."""
        return self.layers.set_index("layer").to_dict("index")

    @cached_property
    def by_threshold(self) -> dict[tuple[int, float], dict[str, float]]:
        """The rows of thresholds.csv of the test set's fields and the walk from label 0, by layer and threshold."""
        table = self.thresholds
        table = table[(table["split"] == "test") & (table["walk"] == "forward")]
        table = table.assign(threshold=table["threshold"].round(6))  # whatever the last bit that a file was read to
        return table.set_index(["layer", "threshold"]).to_dict("index")

    def of_null(self, null: str) -> "Run":
        """Give the run that has a null's noise, clusters and cluster sizes, and nothing else, in place of its own."""
        table = self.nulls[self.nulls["null"] == null]
        means = table.pivot(index="layer", columns="statistic", values="null_mean").add_suffix("_mean")
        layers = means.reset_index()
        thresholds = layers.assign(split="test", walk="forward", threshold=self.params.threshold)
        nothing = {"histories": self.histories.head(0), "dilution": self.dilution.head(0)}
        return replace(self, layers=layers, thresholds=thresholds, **nothing)
