"""Unusual runs that are right all the same: from the images to the figures, and every value in between looked at."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from singlefilter.files import read_digest
from tests.hdf5_files import edited
from tests.robustness.harness import Options, Row, counted, say
from tests.robustness.stages_alone import CHAIN, change_params, environment, run
from tests.test_dependencies import STAGES
from tests.tiny_project import make_place

NOTES = (
    "The whole chain, stage by stage, on images made for each case. Well: each stage ends with 0, without a warning; "
    "no table, figure or summary says nan or inf; accuracies are from 0 to 1, noise and clusters within what K labels "
    "can give; standard deviations are there for several samples and left out for one; every figure is there twice."
)
FIGURES = 14
NO_VALUE = re.compile(r"\b(nan|inf|infinity)\b", re.IGNORECASE)
Pixels = Callable[[np.random.Generator, int], np.ndarray]  # label -> uint8 (H, W, 3) or (H, W)


def tinted(size: int) -> Pixels:
    """Noise, in which a brighter column tells the label."""

    def pixels(generator: np.random.Generator, label: int) -> np.ndarray:
        image = generator.integers(176, size=(size, size, 3), dtype=np.uint8)
        image[:, label % size, label % 3] += 80
        return image

    return pixels


@dataclass(frozen=True)
class Case:
    """A run, and its images.

    Attributes:
        what: What is unusual.
        params: What params.yaml says unlike the tiny project's.
        classes: How many.
        train: Images a class.
        test: Images a class.
        pixels: What an image is made of.
        silence: A layer that puts out nothing but 0 once the network is trained.
    """

    what: str
    params: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 3
    train: int = 12
    test: int = 5
    pixels: Pixels = tinted(8)
    silence: int | None = None

    @property
    def seeds(self) -> list[int]:
        return self.params.get("seeds", [0])


NO_VALIDATION = {"validation.size": 0}
CASES = (
    Case("2 classes", classes=2),
    Case("200 classes", NO_VALIDATION, classes=200, train=3, test=2),
    Case("1 image a class in the test set", test=1),
    Case("1 image a class in either set", NO_VALIDATION, train=1, test=1),
    Case("images of 28×28", {"datasets.tiny.image_size": 28}, pixels=tinted(28)),
    Case("images of 64×64", {"datasets.tiny.image_size": 64}, pixels=tinted(64)),
    Case("grey images", pixels=lambda generator, label: tinted(8)(generator, label)[:, :, label % 3]),
    Case("one and the same grey in all images", pixels=lambda generator, label: np.full((8, 8, 3), 99, np.uint8)),
    Case("black images", pixels=lambda generator, label: np.zeros((8, 8, 3), np.uint8)),
    Case("a layer whose filters are all silent", silence=2),
    Case("a first layer whose filters are all silent", silence=1),
    Case("12 samples", {"seeds": [*range(12)]}),
    Case("no epoch of training", {"archs.tiny.backbone.epochs": 0, "archs.tiny.heads.epochs": 0}),
)


def report(options: Options) -> list[Row]:
    rows = []
    for case in CASES[:: 6 if options.quick else 1]:
        say(f"awkward: {case.what}")
        with TemporaryDirectory() as name:
            wrong = [*problems(case, Path(name) / "project")]
        tables = "tables, summary and figures as they should be"
        rows.append(Row(case.what, len(case.seeds), "; ".join(wrong) or tables, not wrong))
    return rows


def problems(case: Case, folder: Path) -> Iterator[str]:
    """Run the chain in a new folder, and say what is not as it should be."""
    make_place(folder, environment())
    write_images(case, folder / "data/images/tiny")
    change_params(folder, case.params)
    for stage in CHAIN:
        for seed in case.seeds if "matrix" in STAGES[stage] else [0]:
            ended = run(folder, stage, seed=seed)
            if ended.code or "Warning" in ended.error or "Traceback" in ended.error:
                yield f"{stage} ended with {ended.code}: {ended.error[-600:]!r}"
            if ended.code:
                return
            if stage == "train_backbone" and case.silence:
                silence(folder, seed, case.silence)
    for check in (odd_cells, odd_ranges, odd_deviations, odd_summary, odd_figures):
        yield from check(case, folder)


def write_images(case: Case, folder: Path) -> None:
    shutil.rmtree(folder)
    generator = np.random.default_rng(0)
    for split, count in (("train", case.train), ("test", case.test)):
        for label in range(case.classes):
            of_class = folder / split / f"class {label:03}"
            of_class.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(case.pixels(generator, label)).save(of_class / f"{number}.png")


def silence(folder: Path, seed: int, layer: int) -> None:
    """Make all that a layer puts out 0, by its normalisation's weights; its history is then of this network."""
    network, history = folder / f"models/backbone/seed{seed}.h5", folder / f"metrics/history/seed{seed}.sha256"
    before = digest_of(network)
    with edited(network) as file:
        for name in ("weight", "bias"):
            file[f"layers.{layer - 1}.1.{name}"][...] = 0
    history.write_text(history.read_text("utf-8").replace(before, digest_of(network)), "utf-8")


def digest_of(path: Path) -> str:
    return read_digest(path, "train_backbone")


def odd_cells(case: Case, folder: Path) -> Iterator[str]:
    for path in tables(folder):
        if found := NO_VALUE.search(path.read_text("utf-8")):
            yield f"{path.name} says {found[0]}"


def odd_ranges(case: Case, folder: Path) -> Iterator[str]:
    layers = pd.read_csv(folder / "metrics/layers.csv")
    most = {"accuracy": 1, "noise": case.classes**2, "clusters": case.classes, "cluster_size": case.classes}
    for name, limit in most.items():
        for column in (column for column in layers if re.fullmatch(f"{name}(_mean|_low|_high)?", column)):
            values = layers[column].dropna()
            if ((values < 0) | (values > limit)).any():
                yield f"layers.csv has {column} {values.tolist()}"


def odd_deviations(case: Case, folder: Path) -> Iterator[str]:
    layers = pd.read_csv(folder / "metrics/layers.csv")
    for column in (column for column in layers if column.endswith("_std")):
        there = layers[column].notna()
        if len(case.seeds) == 1 and there.any():
            yield f"layers.csv has {column} of one sample"
        if len(case.seeds) > 2 and (layers[column.replace("_std", "_mean")].notna() & ~there).any():
            yield f"layers.csv has no {column}"


def odd_summary(case: Case, folder: Path) -> Iterator[str]:
    try:
        json.loads((folder / "metrics/summary.json").read_text("utf-8"), parse_constant=refuse)
    except ValueError as error:
        yield f"summary.json: {error}"


def refuse(constant: str) -> None:
    raise ValueError(f"has {constant}")


def odd_figures(case: Case, folder: Path) -> Iterator[str]:
    for form in ("png", "svg"):
        if (count := len([*(folder / "plots").glob(f"*.{form}")])) != FIGURES:
            yield f"{counted(count, form)} instead of {FIGURES}"
    for path in (folder / "plots").glob("*.svg"):
        if found := NO_VALUE.search(" ".join(re.findall("<!-- (.*?) -->", path.read_text("utf-8")))):
            yield f"{path.name} says {found[0]}"


def tables(folder: Path) -> list[Path]:
    return [path for path in (folder / "metrics").rglob("*.csv") if "reference" not in path.parts]
