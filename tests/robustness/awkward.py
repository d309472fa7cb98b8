"""Runs that are legal and awkward: few or many classes, odd images, silent layers, one or many samples."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image

import stages.figures
import stages.train_backbone
from singlefilter.backbone.network import Network
from tests.figures.flaws import flaws
from tests.robustness.harness import Options, Row, counted, say
from tests.robustness.stages_alone import CHAIN, change_params, environment, run
from tests.test_dependencies import STAGES
from tests.tiny_project import make_place

NOTES = (
    "The whole chain, check_params to figures, in a tiny project each. Well: each stage ends with 0 and warns of "
    "nothing; no number of a table is NaN or infinite, out of its range, or there where there can be none; the summary "
    "is JSON in the strict sense; no figure is missing, has texts that overlap or are cut off, or says nan."
)
FIGURES = 14
RANGES = {  # what columns are called -> their least and greatest values
    r".*accuracy(_mean)?|(size_|null_)?share(_.*)?|(.*_)?decisions?_share(_mean)?|full_columns_share_mean": (0, 1),
    r".*_std|(.*_)?noise(_mean)?|clusters(_mean)?|appearances(_mean)?|count": (0, np.inf),
    r"(.*_)?cluster_size_mean": (1, np.inf),
}
TEXTS = {"kind", "class_name", "claim", "reason", "labels", "tolerance", "paper"}  # columns with words in them


@dataclass(frozen=True)
class Case:
    """A run.

    Attributes:
        classes: How many.
        test: Images a class in the test set.
        train: The same in the training set.
        size: Pixels a side.
        draw: Draws an image from a generator, its label, and the size.
        changes: To params.yaml.
        silenced: Layers of whose filters none puts out anything.
    """

    classes: int = 3
    test: int = 5
    train: int = 12
    size: int = 8
    draw: Callable[[np.random.Generator, int, int], np.ndarray] = field(default=lambda *about: coloured(*about))
    changes: Mapping[str, Any] = field(default_factory=dict)
    silenced: tuple[int, ...] = ()


def coloured(generator: np.random.Generator, label: int, size: int) -> np.ndarray:
    """Noise, and a tint that tells the label."""
    pixels = generator.integers(128, size=(size, size, 3), dtype=np.uint8)
    return pixels + np.array([label * 37 % 128, label * 61 % 128, label * 97 % 128], dtype=np.uint8)


def grey(generator: np.random.Generator, label: int, size: int) -> np.ndarray:
    return coloured(generator, label, size)[:, :, 0]


def constant(generator: np.random.Generator, label: int, size: int) -> np.ndarray:
    """One colour in the whole image, of a few for each label."""
    return np.broadcast_to(coloured(generator, label, 1), (size, size, 3))


def black(generator: np.random.Generator, label: int, size: int) -> np.ndarray:
    return np.zeros((size, size, 3), dtype=np.uint8)


def mid_grey(generator: np.random.Generator, label: int, size: int) -> np.ndarray:
    return np.full((size, size, 3), 128, dtype=np.uint8)


THREE_LAYERS = {
    "archs.tiny.backbone.convolutions": [4, "M", 6, "M", 5],
    "archs.tiny.examined_layers": [1, 2, 3],
    "dilution.other_layers": [1, 2],
}
CASES = {
    "2 classes": Case(classes=2),
    "200 classes": Case(classes=200, train=3, test=2),
    "1 image a class in the test set": Case(test=1),
    "1 image a class in both sets": Case(test=1, train=1, changes={"validation.images": 0}),
    "images of 28 × 28 in grey, three pools": Case(
        size=28, draw=grey, changes={"archs.tiny.backbone.convolutions": [4, "M", 6, "M", 5, "M"]}
    ),
    "images of 64 × 64, five pools": Case(
        size=64,
        changes={
            "archs.tiny.backbone.convolutions": [4, "M", 6, "M", "M", 5, "M", "M"],
            "archs.tiny.examined_layers": [1, 2, 3],
        },
    ),
    "first layer silent": Case(changes=THREE_LAYERS, silenced=(1,)),
    "middle layer silent": Case(changes=THREE_LAYERS, silenced=(2,)),
    "last layer silent": Case(changes=THREE_LAYERS, silenced=(3,)),
    "all layers silent": Case(changes=THREE_LAYERS, silenced=(1, 2, 3)),
    "last layer silent, 3 samples": Case(changes={"seeds": [0, 1, 2]}, silenced=(2,)),
    "images of one colour each": Case(draw=constant),
    "all images black": Case(draw=black),
    "all images of one grey": Case(draw=mid_grey),
    "no training at all": Case(changes={"archs.tiny.backbone.epochs": 0, "archs.tiny.heads.epochs": 0}),
    "1 filter, no validation set, one layer": Case(
        changes={
            "archs.tiny.backbone.convolutions": [1, "M"],
            "archs.tiny.examined_layers": [1],
            "validation.images": 0,
            "dilution.other_layers": [],
        }
    ),
    "12 samples": Case(changes={"seeds": [*range(12)]}),
}
QUICK = ("2 classes", "last layer silent")


def report(options: Options) -> list[Row]:
    rows = []
    with TemporaryDirectory() as folder:
        for name in QUICK if options.quick else CASES:
            say(f"awkward: {name}")
            rows.append(row(name, CASES[name], Path(folder) / "project", options))
            shutil.rmtree(Path(folder) / "project")
    return rows


def row(name: str, case: Case, folder: Path, options: Options) -> Row:
    """Run the chain once, and say what came of it."""
    ran, found = run_chain(case, folder, options.seed)
    found = found or [*table_flaws(case, folder), *summary_flaws(case, folder), *figure_flaws(folder)]
    for flaw in found:
        say(f"{name}: {flaw}")
    whole = f"all tables and {FIGURES} figures whole"
    told = f"{counted(len(found), 'flaw')}: {'; '.join(found)[:400]}" if found else whole
    return Row(name, 1, f"{counted(ran, 'stage')} ended well; {told}".replace("|", "/"), well=not found)


def make(case: Case, folder: Path, seed: int = 0) -> None:
    """Make a tiny project with a case's images and parameters, in which nothing has run."""
    make_place(folder, environment())
    shutil.rmtree(folder / "data/images/tiny")
    generator = np.random.default_rng(seed)
    for split, count in (("train", case.train), ("test", case.test)):
        for label in range(case.classes):
            for number in range(count):
                path = folder / f"data/images/tiny/{split}/class {label}/{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.ascontiguousarray(case.draw(generator, label, case.size))).save(path)
    change_params(folder, {"datasets.tiny.image_size": case.size, **case.changes})


def run_chain(case: Case, folder: Path, seed: int = 0) -> tuple[int, list[str]]:
    """Run all stages; give how many ended well, and what was wrong with the first that did not."""
    make(case, folder, seed)
    before = {"train_backbone": lambda: silence(case.silenced), "figures": lambda: watch(folder / "flaws.json")}
    samples = case.changes.get("seeds", [0])
    ran = 0
    for stage in ("check_params", *CHAIN):
        for sample in samples if "matrix" in STAGES[stage] else [0]:
            ended = run(folder, stage, before.get(stage, lambda: None), sample)
            if ended.code or re.search("warning|traceback", ended.error + ended.output, re.IGNORECASE):
                return ran, [f"{stage}: {ended.code} {' / '.join((ended.output + ended.error).splitlines()[-4:])}"]
            if no_number := re.search(r".*\b(nan|inf)\b.*", ended.output):
                return ran, [f"{stage} says {no_number[0]!r}"]
            ran += 1
    return ran, []


def silence(layers: tuple[int, ...]) -> None:
    """Let the network be written with layers that put out nothing."""
    write = stages.train_backbone.write_network

    def write_silenced(file: h5py.File, network: Network) -> None:
        with torch.no_grad():
            for layer in layers:
                norm = network.layers[layer - 1][1]
                norm.weight.zero_()
                norm.bias.fill_(-1)
        write(file, network)

    stages.train_backbone.write_network = write_silenced


def watch(path: Path) -> None:
    """Let the flaws of every figure be written, by its name, once it is drawn."""
    found: dict[str, list[str]] = {}
    write = stages.figures.write

    def write_watched(name: str, figure: Figure) -> None:
        write(name, figure)
        found[name] = list(flaws(figure))
        path.write_text(json.dumps(found), encoding="utf-8")

    stages.figures.write = write_watched


def table_flaws(case: Case, folder: Path) -> Iterator[str]:
    samples = len(case.changes.get("seeds", [0]))
    for path in sorted(folder.glob("metrics/**/*.csv")):
        if "reference" in path.parts:
            continue
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        for name in set(table) - TEXTS:
            numbers = pd.to_numeric(table[name].replace("", None), errors="coerce").dropna()
            about = f"{path.relative_to(folder)}, {name}"
            if table[name].str.fullmatch(r"[+-]?(nan|inf|infinity|none|<na>)", case=False).any():
                yield f"{about} has what is no number"
            for columns, (least, greatest) in RANGES.items():
                if re.fullmatch(columns, name) and not numbers.between(least, greatest).all():
                    yield f"{about}: {numbers.min()} to {numbers.max()}"
            if path.parent.name == "metrics" and name.endswith("_std") and not name.startswith("null_"):
                means = table[name.removesuffix("_std") + "_mean"] != ""
                if samples == 1 and (table[name] != "").any():
                    yield f"{about} has a number of one sample"
                of_all = re.fullmatch("(accuracy|noise|clusters)_std", name) and not case.silenced
                if samples > 1 and of_all and (table.loc[means, name] == "").any():
                    yield f"{about} lacks a number"
    layers = pd.read_csv(folder / "metrics/layers.csv").set_index("layer")
    for layer in case.silenced:
        if layers.loc[layer, "silent_filters_mean"] != layers.loc[layer, "filters"]:
            yield f"layer {layer} is not silent"
        if layers.loc[layer, ["noise_mean", "clusters_mean", "cluster_size_mean", "snr_rms_mean"]].notna().any():
            yield f"layer {layer}, of silent filters, has statistics"


def summary_flaws(case: Case, folder: Path) -> Iterator[str]:
    def refuse(constant: str) -> None:
        raise ValueError(f"summary.json has {constant}")

    try:
        summary = json.loads((folder / "metrics/summary.json").read_text(encoding="utf-8"), parse_constant=refuse)
    except ValueError as error:
        yield str(error)
        return
    if ("accuracy_std" in summary) != (summary["samples"] > 1):
        yield f"summary.json is of {summary['samples']} samples and has {[*summary]}"


def figure_flaws(folder: Path) -> Iterator[str]:
    found = json.loads((folder / "flaws.json").read_text(encoding="utf-8"))
    if len(found) != FIGURES:
        yield f"{len(found)} figures"
    for name, of_figure in found.items():
        for form in ("png", "svg"):
            if not (folder / f"plots/{name}.{form}").stat().st_size:
                yield f"{name}.{form} is empty"
        yield from (f"{name}: {flaw}" for flaw in of_figure)
