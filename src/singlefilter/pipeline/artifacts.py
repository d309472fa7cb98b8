"""The files of the chain: where each lies, which stage makes it, and what determines its content.

Two guards keep a file of another run from being used: DVC, which knows the MD5 of every dependency and out; and, for
HDF5 files, which are also read without DVC, what is kept in them: a checksum (see files), the parameters that they were
made with, and the checksums of the files that they were made from.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
from pydantic_core import to_jsonable_python

from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.files import read_hdf5, replacing, write_hdf5
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.pipeline.tables import read_table, write_table

CHECKPOINTS = Path("checkpoints")  # outside the outs, which DVC deletes when a stage starts
IMAGES = Path("data/images")  # a folder for each data set
DOWNLOADS = Path("data/downloads")
RECORDS = Path("metrics/reference")
CONTROLS = Path("metrics/controls")  # records of untrained networks, one for each data set and row of archs


FEWER_FEATURES = "examine fewer layers, or set features.pooled or features.streamed_layers in params.yaml"


@dataclass(frozen=True)
class Stage:
    """What determines what a stage makes.

    Attributes:
        inputs: The artifacts that it reads.
        determinants: The parameters that it depends on, beside those of its inputs; as attributes of Params.
    """

    inputs: tuple[str, ...] = ()
    determinants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """A file of the chain, or one for each sample, layer or figure.

    Attributes:
        path: From the project's root; seed, layer, figure and form are filled in.
        stage: Makes it.
    """

    path: str
    stage: str


STAGES = {
    "check_params": Stage(),
    "download": Stage((), ("dataset", "chosen_dataset.image_size", "validation")),
    "train_backbone": Stage(
        ("dataset",),
        ("epochs_scale", "precision", "chosen_dataset.flip", "chosen_dataset.translation", "chosen_arch.backbone"),
    ),
    "extract_features": Stage(("dataset", "backbone"), ("features",)),
    "train_heads": Stage(("dataset", "backbone", "features"), ("chosen_arch.heads", "chosen_arch.examined_layers")),
    "filter_matrices": Stage(("dataset", "backbone", "features", "heads")),
    "dilute_filters": Stage(("dataset", "backbone", "features", "heads", "matrices"), ("threshold", "dilution")),
    "filter_images": Stage(("dataset", "backbone", "features", "heads", "matrices"), ("explorer",)),
    "cluster_stats": Stage(("history", "matrices", "dilution"), ("arch", "seeds")),
    "figures": Stage(("matrices", "dilution"), ("figures",)),
    "explorer": Stage(("matrices", "images"), ("threshold",)),
}
TABLES = ("claims", "filters", "histograms", "labels", "layers", "nulls", "sizes", "thresholds", "training")
ARTIFACTS = {
    "params_checked": Artifact("data/params_checked.txt", "check_params"),
    "module_code": Artifact("data/module_code.txt", "check_params"),
    "dataset": Artifact("data/dataset.h5", "download"),
    "image_names": Artifact("data/image_names.csv", "download"),
    "backbone": Artifact("models/backbone/seed{seed}.h5", "train_backbone"),
    "history": Artifact("metrics/history/seed{seed}.csv", "train_backbone"),
    "features": Artifact("features/seed{seed}/layer{layer}.h5", "extract_features"),
    "heads": Artifact("models/heads/seed{seed}.h5", "train_heads"),
    "matrices": Artifact("metrics/filters/seed{seed}.h5", "filter_matrices"),
    "images": Artifact("metrics/images/seed{seed}.h5", "filter_images"),
    "dilution": Artifact("metrics/dilution/seed{seed}.csv", "dilute_filters"),
    **{name: Artifact(f"metrics/{name}.csv", "cluster_stats") for name in TABLES},
    "summary": Artifact("metrics/summary.json", "cluster_stats"),
    "figure": Artifact("plots/{figure}.{form}", "figures"),
    "explorer": Artifact("plots/explorer.html", "explorer"),
    "captions": Artifact("plots/captions.md", "figures"),
    "comparison": Artifact("metrics/comparison.csv", "compare_runs"),
    "comparison_text": Artifact("metrics/comparison.md", "compare_runs"),
    "vega": Artifact("plots/vega.js", "vega"),
    "page": Artifact("plots/page.html", "vega"),
}


def path_of(name: str, **place: Any) -> Path:
    """Give the path of an artifact, such as path_of("features", seed=0, layer=13)."""
    return Path(ARTIFACTS[name].path.format(**place))


def in_project(path: Path) -> Path:
    """Give the path, in the project itself, of a file that neither Git nor DVC keeps.

    Where a stage runs in a copy, which is removed, DVC and spread name the project's folder in DVC_ROOT.
    """
    project = Path(os.environ.get("DVC_ROOT", ""))
    return path if project.resolve() == Path.cwd() else project / path


def way_out(name: str, **place: LayerName) -> str:
    """Say how an artifact is made again; first in the way that takes it from DVC's cache if that has it."""
    stage = ARTIFACTS[name].stage
    if "seed" in place:
        stage += f"@{place['seed']}"  # as DVC names it
    return (
        f"Make it again, with all that it is made from: dvc repro {stage}; if this message comes again, since DVC was "
        f"told that the file is right (dvc commit): dvc repro --force --single-item {stage}"
    )


def feature_bytes(shapes: Iterable[tuple[int, int]], images: int) -> int:
    """Count the bytes of the features of layers with so many filters and positions, in float16."""
    return 2 * images * sum(filters * positions for filters, positions in shapes)


class Workspace:
    """The files of one run, from the project's root.

    All HDF5 files that one workspace reads must agree on the files that they were made from.

    Args:
        params: The run's.
    """

    def __init__(self, params: Params):
        self._params = params
        self._digests: dict[str, str] = {}  # of the files that were read, and of those that they were made from

    @contextmanager
    def read(self, name: str, **place: LayerName) -> Iterator[h5py.File]:
        """Open an HDF5 file of this run.

        Args:
            name: The artifact.
            **place: Its seed and layer, where it has them.

        Raises:
            InputError: The file is missing, damaged, of another kind or version, or of another run.
        """
        with _naming_stage(name, place), read_hdf5(path_of(name, **place)) as (file, digest):
            self._require_same_run(file, digest, name, place)
            yield file

    @contextmanager
    def write(self, name: str, **place: LayerName) -> Iterator[h5py.File]:
        """Open an HDF5 file that replaces the artifact's once the block has ended without an error.

        The file keeps the parameters that it is made with, and the checksums of all files that were read before.
        """
        with write_hdf5(path_of(name, **place)) as file:
            file.attrs["made_with"] = json.dumps(self._made_with(name, place), sort_keys=True)
            file.attrs["made_from"] = json.dumps(self._digests, sort_keys=True)
            yield file

    def read_table(self, name: str, **options: Any) -> pd.DataFrame:
        """Read a table; see tables.read_table. DVC alone knows of which run it is.

        Raises:
            InputError: The file is missing, no table, or without rows.
        """
        with _naming_stage(name, {}):
            return read_table(path_of(name), **options)

    def read_samples(self, name: str, columns: dict[str, type]) -> pd.DataFrame:
        """Read a table of each sample, one after the other; a first column `seed` tells them apart."""
        tables = []
        for seed in self._params.seeds:
            with _naming_stage(name, {"seed": seed}):
                table = read_table(path_of(name, seed=seed), columns).drop(columns="seed", errors="ignore")
            table.insert(0, "seed", seed)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def write_table(self, name: str, table: pd.DataFrame, float_format: str | None = None, **place: LayerName) -> None:
        """Write a table; see tables.write_table."""
        write_table(path_of(name, **place), table, float_format)

    def write_text(self, name: str, text: str) -> None:
        """Write a text, in UTF-8; the artifact is replaced once it is whole."""
        with replacing(path_of(name)) as path:
            path.write_text(text, encoding="utf-8", newline="\n")

    def determinants(self, stage: str, **place: LayerName) -> dict[str, Any]:
        """List all that determines what a stage makes, once it has read its inputs: for a checkpoint's key."""
        return place | determinants(self._params, stage) | {"made_from": self._digests}

    def _made_with(self, name: str, place: dict[str, LayerName]) -> dict[str, Any]:
        return {"file": name} | place | determinants(self._params, ARTIFACTS[name].stage)

    def _require_same_run(self, file: h5py.File, digest: str, name: str, place: dict[str, LayerName]) -> None:
        found, expected = json.loads(file.attrs["made_with"]), self._made_with(name, place)
        for key in [*expected, *found]:
            if found.get(key, "unknown") != expected.get(key, "unknown"):
                pair = found.get(key, "unknown"), expected.get(key, "none")
                raise _of_another_run(name, place, key, *pair)
        made_from = json.loads(file.attrs["made_from"]) | {str(path_of(name, **place)): digest}
        for path, found_digest in made_from.items():
            if self._digests.setdefault(path, found_digest) != found_digest:
                raise _of_another_run(name, place, path, found_digest, self._digests[path])


def determinants(params: Params, stage: str) -> dict[str, Any]:
    """List the parameters that determine what a stage makes: its own, and those of the stages before it.

    Returns:
        Name -> value, as JSON has them. A data set counts by its name: its images may be found anywhere.
    """
    values: dict[str, Any] = {}
    for name in STAGES[stage].inputs:
        values |= determinants(params, ARTIFACTS[name].stage)
    for name in STAGES[stage].determinants:
        value = to_jsonable_python(attrgetter(name)(params))
        values |= _flat(name.removeprefix("chosen_dataset.").removeprefix("chosen_arch."), value)
    return values


def digest_of_determinants(params: Params, stage: str) -> str:
    """Give what tells a stage's runs apart by the parameters that determine what it makes, for the log."""
    listed = json.dumps(determinants(params, stage), sort_keys=True) if stage in STAGES else ""
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    return {name: leaf for inner, part in value.items() for name, leaf in _flat(f"{key}.{inner}", part).items()}


@contextmanager
def _naming_stage(name: str, place: dict[str, LayerName]) -> Iterator[None]:
    """Say of a file that cannot be used how it is made again."""
    try:
        yield
    except UnusableFile as error:
        raise InputError(f"{error}. {way_out(name, **place)}") from error


def _of_another_run(name: str, place: dict[str, LayerName], key: str, found: Any, expected: Any) -> InputError:
    return InputError(
        f"{path_of(name, **place)} is of another run: made with {key} {found}, where {expected} is expected. "
        f"{way_out(name, **place)}"
    )
