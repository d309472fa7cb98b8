"""Recorded runs: a folder each, with the run's tables, its parameters, and what it ran on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from singlefilter.claims.run import Run
from singlefilter.pipeline.artifacts import CONTROLS, path_of
from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.params import POOLS, Params
from singlefilter.pipeline.params_files import load_params
from singlefilter.pipeline.tables import read_table
from singlefilter.pipeline.yaml_files import load_yaml

# Of one run; those of its samples are history-seed0.csv, dilution-seed0.csv, …
TABLES = ("layers", "nulls", "thresholds", "labels", "histograms", "claims", "summary")
SAMPLE_TABLES = ("history", "dilution")
REMEDY = "Make the run's tables again (dvc repro) and record it (stages.record_run)"
# What tells a table from one of another kind, or of an earlier version.
COLUMNS = {
    "layers": ("layer", "filters", "samples", "accuracy_mean", "noise_low", "reversed_noise_mean"),
    "nulls": ("layer", "null", "statistic", "null_mean"),
    "thresholds": ("layer", "split", "walk", "threshold", "noise_mean", "clusters_mean"),
    "history": ("epoch", "test_accuracy", "validation_accuracy", "test_accuracy_without_bias"),
    "dilution": ("layer", "kind", "removed_filters", "accuracy"),
}


def workspace_files(seeds: Sequence[int]) -> dict[str, Path]:
    """List a run's tables where the stages write them.

    Args:
        seeds: The samples.

    Returns:
        Name in a record -> file.
    """
    files = {path_of(name).name: path_of(name) for name in TABLES}
    return files | {f"{kind}-seed{seed}.csv": path_of(kind, seed=seed) for kind in SAMPLE_TABLES for seed in seeds}


def read_record(folder: Path) -> Run:
    """Read a recorded run.

    Raises:
        InputError: A file is missing or not whole, or does not belong to the record's params.yaml.
    """
    params = load_params(folder / "params.yaml")
    return read_run(params, {name: folder / name for name in workspace_files(params.seeds)})


def read_control(dataset: str, arch: str) -> Run | None:
    """Read the record of an untrained network, if there is one.

    Args:
        dataset: The row of datasets.
        arch: The row of archs.

    Raises:
        InputError: It is not whole.
    """
    folder = control_folder(dataset, arch)
    return read_record(folder) if (folder / "params.yaml").exists() else None


def control_folder(dataset: str, arch: str) -> Path:
    """Give the folder of the record of an untrained network, such as metrics/controls/digits-vgg16."""
    return CONTROLS / f"{dataset}-{arch}"


def read_run(params: Params, files: Mapping[str, Path]) -> Run:
    """Read the tables of a run that its claims are judged on, and check that they are of these parameters.

    Args:
        params: The run's.
        files: As workspace_files gives them.

    Raises:
        InputError: A file is missing or not whole, or is of other samples, layers, filters or epochs.
    """
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise _unusable(missing[0], "is missing")
    layers, thresholds, nulls = (_read(files[f"{kind}.csv"], kind) for kind in ("layers", "thresholds", "nulls"))
    histories, dilution = (
        pd.concat(
            (_read(files[f"{kind}-seed{seed}.csv"], kind).assign(seed=seed) for seed in params.seeds), ignore_index=True
        )
        for kind in SAMPLE_TABLES
    )
    run = Run(params, layers, thresholds, nulls, histories, dilution)
    for name, what, found, expected in _what_it_is_of(run):
        if found != expected:
            raise _unusable(files[name], f"is of {what} {found}, and params.yaml of {expected}")
    return run


def chosen_rows(text: str, params: Params) -> str:
    """Reduce a catalog.yaml to the chosen rows of datasets and archs.

    Args:
        text: The file's text.
        params: The run's.

    Returns:
        The text of a whole and valid catalog.yaml; comments are left out.
    """
    tables = load_yaml(text)
    rows = {
        table: {name: tables[table][name]} for table, name in (("datasets", params.dataset), ("archs", params.arch))
    }
    return yaml.safe_dump(rows, sort_keys=False, default_flow_style=None, width=120)


def _what_it_is_of(run: Run) -> list[tuple[str, str, list[int], list[int]]]:
    """File, what is compared, what the file has, and what the parameters say."""
    params, backbone = run.params, run.params.chosen_arch.backbone
    examined = list(params.chosen_arch.examined_layers)
    filters = run.layers["filters"].tolist()
    if backbone.is_chain:
        widths = [item for item in backbone.convolutions if item not in POOLS]
        expected = [widths[layer - 1] for layer in examined]
    else:
        expected = filters  # what they should be is known to the network alone
    retrained = bool((run.dilution["kind"] == "random_retrained").any())
    epochs, last, first = params.epochs(backbone.epochs), run.last_epochs["epoch"], params.seeds[0]
    return [
        ("layers.csv", "layers", run.layers["layer"].tolist(), examined),
        ("layers.csv", "filters", filters, expected),
        ("layers.csv", "samples", [*dict.fromkeys(run.layers["samples"])], [run.samples]),
        ("thresholds.csv", "layers", [*dict.fromkeys(run.thresholds["layer"])], examined),
        ("nulls.csv", "layers", [*dict.fromkeys(run.nulls["layer"])], examined),
        *((f"history-seed{seed}.csv", "epochs", [int(last[seed])], [epochs]) for seed in params.seeds),
        (f"dilution-seed{first}.csv", "layers", [*dict.fromkeys(run.dilution["layer"])], params.diluted_layers),
        (f"dilution-seed{first}.csv", "retrained heads", [retrained], [params.dilution.retrain_heads]),
    ]


def _read(path: Path, kind: str) -> pd.DataFrame:
    try:
        table = read_table(path)
    except UnusableFile as error:
        raise InputError(f"{error}. {REMEDY}") from error
    lacking = [name for name in COLUMNS[kind] if name not in table]
    if lacking:
        raise _unusable(path, f"has no column {lacking[0]!r}")
    return table


def _unusable(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}. {REMEDY}")
