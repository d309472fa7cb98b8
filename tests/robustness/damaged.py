"""Every file that a stage reads, damaged or of another run: `python -m tests.robustness.damaged`.

A stage must refuse it in one line that names it and says what to run, and leave all else as it was; or, where the
damage is none to what it reads, make the same bytes as ever.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from singlefilter import checkpoints
from tests.hdf5_files import edited
from tests.robustness.stages_alone import (
    CHAIN,
    change_params,
    copied,
    everything,
    inputs_of,
    make_project,
    markdown,
    outs_of,
    run,
)

READING = [name for name in CHAIN if name != "download"]
SEED_1 = {"seeds": [1]}

# What else a run may have been made with, and so what else params.yaml may say when a stage runs alone.
OTHER_RUNS: dict[str, Mapping[str, Any]] = {
    "another network": {"archs.tiny.backbone.convolutions": [4, "M", 6, "M", 6]},
    "other training rates": {"archs.tiny.backbone.convolutional_rates.learning_rate": 0.04},
    "another number of epochs": {"epochs_scale": 0.2},
    "another precision": {"precision": "float32"},
    "another augmentation": {"datasets.tiny.translation": 2},
    "another validation set": {"validation.seed": 1},
    "images of another size": {"datasets.tiny.image_size": 16},
    "other augmented passes for the heads": {"archs.tiny.heads.views": 1},
    "other rates of the heads": {"archs.tiny.heads.learning_rate": 0.04},
    "other examined layers": {"archs.tiny.examined_layers": [2], "dilution.other_layers": []},
    "another threshold": {"threshold": 0.4},
    "another dilution": {"dilution.retrain_heads": False},
}


@dataclass(frozen=True)
class Case:
    """One damage, and how the stage that met it ended."""

    what: str
    where: str
    outcome: str


def report(quick: bool) -> list[tuple[str, int, str]]:
    """Do all of it; what was done, how often, and what happened."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        project = make_project(root / "project")
        cases = [*damages(project, root / "damaged", 1 if quick else 25)]
        chosen = list(OTHER_RUNS)[:: 5 if quick else 1]
        cases += other_runs(project, root, {what: OTHER_RUNS[what] for what in chosen})
        cases += other_checkpoints(project, root / "checkpoints", every=4 if quick else 1)
    for case in cases:
        if case.outcome.isupper():
            print(f"{case.outcome}: {case.what}, {case.where}", file=sys.stderr)
    return table(cases)


def table(cases: list[Case]) -> list[tuple[str, int, str]]:
    """A row for each kind of damage."""
    kinds: dict[str, Counter[str]] = {}
    for case in cases:
        kinds.setdefault(case.what, Counter())[case.outcome] += 1
    return [
        (what, outcomes.total(), "; ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
        for what, outcomes in kinds.items()
    ]


def damages(project: Path, folder: Path, places: int) -> Iterator[Case]:
    """Each file that each stage reads, damaged in every way."""
    copied(project, folder)
    for stage in READING:
        for file in inputs_of(project, stage):
            for what, damage in ways(places):
                yield Case(f"{what}", f"{file} of {stage}", with_damage(folder, stage, file, damage))


def ways(places: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Ways to damage a file."""
    yield "a file that is missing", Path.unlink
    yield "an empty file", lambda path: path.write_bytes(b"")
    yield "a file cut in half", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    yield "a file without its last byte", lambda path: path.write_bytes(path.read_bytes()[:-1])
    yield "a file with bytes added", lambda path: path.write_bytes(path.read_bytes() + b"0")
    yield "a folder in a file's place", lambda path: (path.unlink(), path.mkdir())
    yield "another kind of file", lambda path: path.write_text("<html>not found</html>\n")
    yield "a file of another version", another_version
    yield "a byte flipped at the start", lambda path: flip(path, 0)
    yield "a byte flipped at the end", lambda path: flip(path, 1)
    for place in range(places):
        share = np.random.default_rng(place).random()
        yield "a byte flipped somewhere", lambda path, share=share: flip(path, share)


def another_version(path: Path) -> None:
    content = path.read_bytes()
    if path.suffix == ".h5":
        path.write_bytes(content.replace(b"singlefilter 1", b"singlefilter 0", 1))
    else:  # as those before there were digests
        path.write_bytes(b"seed,layer\n0,2\n")


def flip(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[min(int(share * len(content)), len(content) - 1)] ^= 4
    path.write_bytes(content)


def with_damage(folder: Path, stage: str, file: str, damage: Callable[[Path], Any]) -> str:
    """Damage a file, run a stage that reads it, and undo it."""
    path = folder / file
    content = path.read_bytes()
    try:
        damage(path)
        # Digests are named beside the table that they do not fit.
        names = (
            [file] if not file.endswith(".sha256") else [file, "metrics/claims.csv", file.replace(".sha256", ".csv")]
        )
        return outcome_of(folder, stage, outs_of(folder, stage), names)
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(content)


def outcome_of(folder: Path, stage: str, expected: Mapping[str, bytes], names: Sequence[str]) -> str:
    """Run a stage, and judge how it ended; what must not be is in capitals."""
    before = everything(folder)
    ended = run(folder, stage)
    if ended.code == 0:
        return "made the same bytes as ever" if outs_of(folder, stage) == expected else "SILENT WRONG NUMBER"
    if everything(folder) != before:
        return "LOST RESULT"
    if not ended.is_one_line:
        return "TRACEBACK"
    named = any(ended.error.startswith(f"{stage}: {name} ") for name in names)
    if not (named and "dvc repro " in ended.error):
        return "NOT NAMED"
    return "refused in one line, with its name and what to run"


def other_runs(project: Path, root: Path, changes: Mapping[str, Mapping[str, Any]]) -> Iterator[Case]:
    """The files of other runs under this run's names; and this run's files where params.yaml says another run."""
    for number, (what, changed) in enumerate(changes.items()):
        other = make_project(root / f"other{number}", changed)
        yield from swaps(project, other, root / "swapped", f"a file of a run with {what}")
        yield from alone(project, other, root / "alone", changed, f"params.yaml with {what}, stages run alone")
        shutil.rmtree(other)
    yield from swaps(project, another_sample(root / "sample"), root / "swapped", "a file of another sample")
    same = another_training(project, root / "training")
    yield from swaps(project, same, root / "swapped", "a file of another training with the same parameters")
    yield from layers_swapped(project, root / "swapped")


def swaps(project: Path, other: Path, folder: Path, what: str) -> Iterator[Case]:
    """Each input of each stage, and the features of all layers, from another run."""
    copied(project, folder)
    for stage in READING:
        inputs = inputs_of(project, stage)
        for files in [*([file] for file in inputs), [file for file in inputs if file.startswith("features/")]]:
            there = [file for file in files if (other / file).exists()]
            if all((other / file).read_bytes() == (project / file).read_bytes() for file in there):
                continue
            for file in there:
                shutil.copyfile(other / file, folder / file)
            outcome = outcome_of(folder, stage, outs_of(project, stage), inputs)
            yield Case(what, f"{', '.join(there)} of {stage}", outcome)
            for file in there:
                shutil.copyfile(project / file, folder / file)


def alone(project: Path, other: Path, folder: Path, changed: Mapping[str, Any], what: str) -> Iterator[Case]:
    """Each stage with other parameters than its inputs were made with: refused, or the outs of that other run."""
    for stage in READING:
        copied(project, folder)
        change_params(folder, changed)
        outcome = outcome_of(folder, stage, outs_of(other, stage), inputs_of(project, stage))
        yield Case(what, stage, outcome.replace("same bytes as ever", "bytes that these parameters give"))


def another_sample(folder: Path) -> Path:
    """The files of the sample with seed 1 under the names of seed 0."""
    from tests.robustness import stages_alone

    arguments = stages_alone._arguments
    stages_alone._arguments = lambda name: ["--seed", "1"] if arguments(name) else []
    try:
        make_project(folder, SEED_1)
    finally:
        stages_alone._arguments = arguments
    for path in sorted(folder.rglob("seed1*")):
        path.rename(path.with_name(path.name.replace("seed1", "seed0")))
    return folder


def another_training(project: Path, folder: Path) -> Path:
    """The same parameters, other weights: as on another machine, or with other code."""
    copied(project, folder)
    with edited(folder / "models/backbone/seed0.h5") as file:
        file["layers.0.0.weight"][0] += 0.01
    for name in CHAIN[CHAIN.index("train_backbone") + 1 : CHAIN.index("cluster_stats")]:
        assert run(folder, name).code == 0
    return folder


def layers_swapped(project: Path, folder: Path) -> Iterator[Case]:
    copied(project, folder)
    names = sorted((folder / "features/seed0").glob("*.h5"))
    for source, target in (names, reversed(names)):
        shutil.copyfile(project / source.relative_to(folder), target)
        for stage in ("train_heads", "filter_matrices", "dilute_filters"):
            outcome = outcome_of(folder, stage, outs_of(project, stage), inputs_of(project, stage))
            yield Case("a layer's features under another layer's name", stage, outcome)
        shutil.copyfile(project / target.relative_to(folder), target)


def other_checkpoints(project: Path, folder: Path, every: int) -> Iterator[Case]:
    """Checkpoints of stopped stages, damaged in every way: never used, and the run ends as an undisturbed one."""
    for stage in ("train_backbone", "train_heads", "dilute_filters"):
        for what, damage in [*ways(3)][::every]:
            for names in (["*[0-9a-f].pt"], ["*.pt"]):
                copied(project, folder)
                stopped = run(folder, stage, stop_after_two_checkpoints)
                assert stopped.code == 9, stopped
                for path in [path for name in names for path in sorted((folder / "checkpoints").rglob(name))]:
                    if names == ["*.pt"] or ".previous" not in path.name:
                        damage(path)
                outcome = outcome_of(folder, stage, outs_of(project, stage), ["checkpoints"])
                yield Case(f"checkpoint: {what}", stage, outcome)


def stop_after_two_checkpoints() -> None:
    """Save a checkpoint after each epoch, and end as if killed after the second."""
    save, saved = checkpoints.Checkpoint.save, []

    def save_and_count(self: checkpoints.Checkpoint, state: Mapping[str, Any]) -> None:
        save(self, state)
        saved.append(state)
        if len(saved) == 2:
            os._exit(9)

    checkpoints.SECONDS_BETWEEN = 0
    checkpoints.Checkpoint.save = save_and_count


if __name__ == "__main__":
    print(markdown(report("--quick" in sys.argv)))
