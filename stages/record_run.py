"""Record the present run in metrics/reference/: its tables, figures and parameters, and what it ran on."""

import math
import os
import re
import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from singlefilter.claims.judge import NOT_COMPARABLE, judge
from singlefilter.claims.run import Run
from singlefilter.filters.store import read_layer
from singlefilter.pipeline.artifacts import CONTROLS, RECORDS, Workspace, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params, layer_text
from singlefilter.pipeline.params_files import load_params
from singlefilter.records.store import (
    chosen_rows,
    control_folder,
    read_control,
    read_record,
    read_run,
    workspace_files,
)
from singlefilter.records.what_ran import run_text
from stages import run

ROUNDED = 1e-6  # of a success rate in layers.csv
ARGUMENTS = {
    "--name": {"default": "", "help": "what tells this run from another of the same data set, network and epochs"},
    "--note": {"default": "", "help": "a line for the record's run.md"},
    "--control": {
        "action": "store_true",
        "help": "record an untrained network in metrics/controls/, for the claims on the same data and network",
    },
    "--figures": {
        "nargs": "*",
        "default": ["layer_statistics", "filters", "success_rates"],
        "help": "those of plots/ to keep (layer_statistics filters success_rates)",
    },
}


def main(params: Params, name: str, note: str, control: bool, figures: Sequence[str]) -> None:
    folder = folder_of_control(params) if control else RECORDS / record_name(params, name)
    figures = [] if control else figures
    check_old_record(folder, params)
    files = workspace_files(params.seeds)
    present = read_run(params, files)
    check_verdicts(present)
    check_matrices(present)
    for figure in figures:
        files[f"{figure}.png"] = figure_file(figure)
    with replacing_folder(folder) as temporary:
        for recorded, path in files.items():
            shutil.copyfile(path, temporary / recorded)
        shutil.copyfile("params.yaml", temporary / "params.yaml")
        rows = chosen_rows(Path("catalog.yaml").read_text(encoding="utf-8"), params)
        (temporary / "catalog.yaml").write_text(rows, encoding="utf-8")
        (temporary / "run.md").write_text(run_text(folder, params, note), encoding="utf-8")
        read_record(temporary)
    print(f"recorded in {folder}; dvc repro compare_runs sets it beside the others")


def folder_of_control(params: Params) -> Path:
    """The folder of a control; refuse a network that was trained."""
    if params.chosen_arch.backbone.is_trained:
        row = f"archs.{params.arch}.backbone"
        raise InputError(
            f"--control: {row} is trained, and a control is not; set its weights, if it has some, to random, and the "
            f"learning_rate of convolutional_rates and fully_connected_rates to 0, such as "
            f"dvc exp run -S catalog.yaml:{row}.convolutional_rates.learning_rate=0"
        )
    return control_folder(params.dataset, params.arch)


def record_name(params: Params, name: str) -> str:
    """The name of the run's folder, such as cifar10-vgg6-0.1."""
    parts = [params.dataset, params.arch, f"{params.epochs_scale:g}", *([name] if name else [])]
    for part in parts:
        if not re.fullmatch(r"\w[\w.+-]*", part):
            raise InputError(
                f"{part!r} cannot be in a folder's name; allowed are letters, digits, and . _ + - after them"
            )
    return "-".join(parts)


def check_old_record(folder: Path, params: Params) -> None:
    """Refuse to replace the record of a run with other parameters; how figures look does not count."""
    if not (folder / "params.yaml").exists():
        return
    old, new = (comparable(values) for values in (load_params(folder / "params.yaml"), params))
    different = ", ".join(key for key in new if old.get(key) != new[key])
    if different:
        raise InputError(
            f"{folder} is the record of a run with other parameters ({different}); remove that folder"
            f"{'' if folder.parent == CONTROLS else ', or give this one a --name of its own'}"
        )


def comparable(params: Params) -> dict[str, object]:
    """What a run is, but for rows that it does not use."""
    values = params.model_dump(exclude={"figures", "explorer", "datasets", "archs"})
    rows = {f"datasets.{params.dataset}": params.chosen_dataset, f"archs.{params.arch}": params.chosen_arch}
    return values | rows


def check_verdicts(present: Run) -> None:
    """Check that metrics/claims.csv says of the present run what the tables beside it and params.yaml say."""
    path = path_of("claims")
    remedy = "Make the run's tables again (dvc repro), then record the run"
    try:
        written = verdicts(pd.read_csv(path))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not whole ({error}). {remedy}") from error
    control = read_control(present.params.dataset, present.params.arch)
    judged_now = verdicts(judge(present, control))
    if len(written) != len(judged_now):
        raise InputError(f"{path} has {len(written)} claims instead of {len(judged_now)}. {remedy}")
    for found, judged in zip(written, judged_now, strict=True):
        if found != judged:
            raise InputError(
                f"{path} says {verdict_text(found, judged)}; params.yaml and the tables say "
                f"{verdict_text(judged, found)}. {remedy}"
            )


def check_matrices(present: Run) -> None:
    """Check that the matrices were made with the present parameters, of which tables show only some, and the tables
    from them.
    """
    files = Workspace(present.params)
    rates = defaultdict(list)
    for seed in present.params.seeds:
        with files.read("matrices", seed=seed) as file:
            for layer in present.by_layer:
                rates[layer].append(read_layer(file, layer).accuracies["test_accuracy"])
    for layer, of_samples in rates.items():
        found, expected = present.by_layer[layer]["accuracy_mean"], statistics.mean(of_samples)
        if not math.isclose(found, expected, abs_tol=ROUNDED):
            raise InputError(
                f"{path_of('layers')} has the success rate {found:g} for {layer_text(layer)}, and the matrices have "
                f"{expected:g}. Make the run's tables again (dvc repro), then record the run"
            )


def verdicts(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """A table's verdicts, with the reasons why something cannot be compared: they say what a run was."""
    reasons = table["reason"].fillna("").where(table["verdict"] == NOT_COMPARABLE, "")
    return list(zip(table["id"], table["verdict"], reasons, strict=True))


def verdict_text(shown: tuple[str, str, str], other: tuple[str, str, str]) -> str:
    """Write a claim's verdict, of its reasons those that the other verdict has not."""
    claim, verdict, reasons = shown
    others = other[2].split("; ")
    return f"{claim} {verdict} {'; '.join(part for part in reasons.split('; ') if part not in others)}".rstrip()


def figure_file(name: str) -> Path:
    path = path_of("figure", figure=name, form="png")
    drawn = sorted(file.stem for file in path_of("figure", figure="*", form="png").parent.glob("*.png"))
    if name not in drawn:
        way_out = f"choose among {', '.join(drawn)}" if drawn else "draw them: dvc repro"
        raise InputError(f"--figures: {name!r} is no figure in plots; {way_out}")
    return path


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder` to fill; put it in its place once the block has ended well."""
    temporary, old = (folder.with_name(f".{folder.name}.{ending}") for ending in ("partial", "old"))
    if old.exists() and not folder.exists():  # a recording was stopped between the two
        os.replace(old, folder)
    for left_over in (temporary, old):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            os.replace(folder, old)
        os.replace(temporary, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    run(main, arguments=ARGUMENTS)
