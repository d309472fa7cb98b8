"""Every file that a stage reads, damaged or of another run."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from singlefilter.training import checkpoint as checkpoints
from tests.hdf5_files import edited
from tests.robustness.harness import Options, Row, say
from tests.robustness.stages_alone import (
    CHAIN,
    change_params,
    copied,
    everything,
    inputs_of,
    make_project,
    outs_of,
    run,
)

NOTES = (
    "Each stage that reads an HDF5 file runs with it alone, in a tiny project in which all stages have run. It must "
    "refuse the file in one line that names it and says what to run, and leave all else as it was; or, where the "
    "damage is none to what it reads, make the same bytes as ever. DVC guards tables, and so what reads them."
)

READING = [name for name in CHAIN if name != "download"]
# Those that read nothing but HDF5 files, which tell their run; of tables DVC alone knows of which run they are.
TOLD = [name for name in READING if name not in ("cluster_stats", "figures", "explorer")]

# What else a run may have been made with, and so what else params.yaml may say when a stage runs alone.
OTHER_RUNS: dict[str, Mapping[str, Any]] = {
    "another network": {"archs.tiny.backbone.convolutions": [4, "M", 6, "M", 6]},
    "other training rates": {"archs.tiny.backbone.convolutional_rates.learning_rate": 0.04},
    "another number of epochs": {"epochs_scale": 0.2},
    "another precision": {"precision": "float32"},
    "another augmentation": {"datasets.tiny.translation": 2},
    "another validation set": {"validation.seed": 1},
    "images of another size": {"datasets.tiny.image_size": 16},
    "other images for the heads": {"archs.tiny.heads.images": "plain"},
    "other rates of the heads": {"archs.tiny.heads.learning_rate": 0.04},
    "other examined layers": {"archs.tiny.examined_layers": [2], "dilution.other_layers": []},
    "another threshold": {"threshold": 0.4},
    "another dilution": {"dilution.retrain_heads": False},
}


@dataclass(frozen=True)
class Case:
    """One damage, and how the stage that met it ended; in capitals what must not be."""

    what: str
    where: str
    outcome: str


def report(options: Options) -> list[Row]:
    with TemporaryDirectory() as name:
        root = Path(name)
        project = make_project(root / "project")
        cases: list[Case] = []
        for part in (damages, other_runs, other_checkpoints):
            say(f"damaged: {part.__name__}")
            cases += part(project, root, options)
    return rows_of(cases)


def rows_of(cases: list[Case]) -> list[Row]:
    """A row for each kind of damage."""
    kinds: dict[str, Counter[str]] = {}
    for case in cases:
        kinds.setdefault(case.what, Counter())[case.outcome] += 1
        if case.outcome.isupper():
            say(f"{case.outcome}: {case.what}, {case.where}")
    return [
        Row(
            what,
            outcomes.total(),
            "; ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
            well=not any(outcome.isupper() for outcome in outcomes),
        )
        for what, outcomes in kinds.items()
    ]


def hdf5_inputs(folder: Path, stage: str) -> list[str]:
    return [file for file in inputs_of(folder, stage) if file.endswith(".h5")]


def damages(project: Path, root: Path, options: Options) -> Iterator[Case]:
    """Each file that each stage reads, damaged in every way."""
    folder = copied(project, root / "damaged")
    for stage in READING:
        for file in hdf5_inputs(project, stage):
            for what, damage in ways(options.times(25), options.seed):
                yield Case(what, f"{file} of {stage}", with_damage(folder, stage, file, damage))


def ways(places: int, seed: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
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
    for share in np.random.default_rng(seed).random(places):
        yield "a byte flipped somewhere", lambda path, share=share: flip(path, share)


def another_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"singlefilter 3", b"singlefilter 2", 1))


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
        return outcome_of(folder, stage, outs_of(folder, stage), [file])
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


def other_runs(project: Path, root: Path, options: Options) -> Iterator[Case]:
    """The files of other runs under this run's names; and this run's files where params.yaml says another run."""
    for what in list(OTHER_RUNS)[:: 5 if options.quick else 1]:
        changes = OTHER_RUNS[what]
        other = make_project(root / "other", changes)
        yield from swaps(project, other, root, f"a file of a run with {what}")
        yield from alone(project, other, root, changes, f"params.yaml with {what}, stages run alone")
        shutil.rmtree(other)
    yield from swaps(project, another_sample(root / "sample"), root, "a file of another sample")
    images = other_images(project, root / "images")
    yield from swaps(project, images, root, "a file of a run with other images of the same name")
    same = another_training(project, root / "training")
    yield from swaps(project, same, root, "a file of another training with the same parameters")
    yield from layers_swapped(project, root)


def swaps(project: Path, other: Path, root: Path, what: str) -> Iterator[Case]:
    """Each input of each stage, and the features of all layers, from another run."""
    same_params = (project / "params.yaml").read_bytes() == (other / "params.yaml").read_bytes()
    for stage in TOLD:
        inputs = [file for file in hdf5_inputs(project, stage) if (other / file).exists()]
        different = [file for file in inputs if (project / file).read_bytes() != (other / file).read_bytes()]
        features = [file for file in different if file.startswith("features/")]
        for files in [*([file] for file in different), *([features] if len(features) > 1 else [])]:
            folder = copied(project, root / "swapped")
            for file in files:
                shutil.copyfile(other / file, folder / file)
            if same_params and files == different:  # all that it reads is that other run's, and so is what it makes
                outcome = outcome_of(folder, stage, outs_of(other, stage), inputs).replace("as ever", "as that run")
            else:
                outcome = outcome_of(folder, stage, outs_of(project, stage), inputs)
            yield Case(what, f"{', '.join(files)} of {stage}", outcome)


def alone(project: Path, other: Path, root: Path, changes: Mapping[str, Any], what: str) -> Iterator[Case]:
    """Each stage with other parameters than its inputs were made with: refused, or the outs of that other run."""
    for stage in TOLD:
        folder = copied(project, root / "alone")
        change_params(folder, changes)
        outcome = outcome_of(folder, stage, outs_of(other, stage), inputs_of(project, stage))
        yield Case(what, stage, outcome.replace("same bytes as ever", "bytes that these parameters give"))


def another_sample(folder: Path) -> Path:
    """The files of the sample with seed 1 under the names of seed 0."""
    make_project(folder, {"seeds": [1]}, seed=1)
    for path in sorted(folder.rglob("seed1*")):
        path.rename(path.with_name(path.name.replace("seed1", "seed0")))
    return folder


def other_images(project: Path, folder: Path) -> Path:
    """The same parameters and names, but one of the images another."""
    copied(project, folder)
    images = folder / "data/images/tiny/train"
    shutil.copyfile(images / "red/0.png", images / "blue/0.png")
    for stage in CHAIN:
        assert run(folder, stage).code == 0
    return folder


def another_training(project: Path, folder: Path) -> Path:
    """The same parameters, other weights: as on another machine, or with other code."""
    copied(project, folder)
    with edited(folder / "models/backbone/seed0.h5") as file:
        file["layers.0.0.weight"][0] += 0.01
    for stage in CHAIN[CHAIN.index("extract_features") : CHAIN.index("cluster_stats")]:
        assert run(folder, stage).code == 0
    return folder


def layers_swapped(project: Path, root: Path) -> Iterator[Case]:
    folder = copied(project, root / "swapped")
    names = sorted(str(path.relative_to(project)) for path in (project / "features/seed0").iterdir())
    for source, target in (names, reversed(names)):
        shutil.copyfile(project / source, folder / target)
        for stage in ("train_heads", "filter_matrices", "dilute_filters"):
            outcome = outcome_of(folder, stage, outs_of(project, stage), [target])
            yield Case("a layer's features under another layer's name", stage, outcome)
        shutil.copyfile(project / target, folder / target)


def other_checkpoints(project: Path, root: Path, options: Options) -> Iterator[Case]:
    """Checkpoints of stopped stages, damaged in every way: never used, and the run ends as an undisturbed one."""
    for stage in ("train_backbone", "train_heads", "dilute_filters"):
        for what, damage in [*ways(3, options.seed)][:: 4 if options.quick else 1]:
            for newest in (True, False):
                folder = copied(project, root / "checkpoints")
                stopped = run(folder, stage, stop_after_two_checkpoints)
                assert stopped.code == 9, stopped
                saved = sorted((folder / "checkpoints").rglob("*.pt"))
                for path in saved:
                    if not (newest and ".previous" in path.name):
                        damage(path)
                names = [str(path.relative_to(folder)) for path in saved]
                outcome = outcome_of(folder, stage, outs_of(project, stage), names)
                yield Case(f"{'the newest' if newest else 'each'} checkpoint: {what}", stage, outcome)


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
