"""Temporary copies of this tree with a tiny data set and a tiny network, and commands run in them."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
COPIED = [
    "dvc.yaml",
    "params.yaml",
    "catalog.yaml",
    ".dvc",
    ".dvcignore",
    ".gitignore",
    "data/images/*README.md",
    "metrics/controls",
    "metrics/reference",
    "networks",
    "src",
    "stages",
]

DATASET = {"source": "class_folders", "image_size": 8, "flip": False, "translation": 1}
RATES = {
    "learning_rate": 0.05,
    "momentum": 0.9,
    "weight_decay": 0.001,
    "decay": [{"first": 20, "every": 20, "factor": 0.6}],
}
ARCH = {
    "backbone": {
        "convolutions": [4, "M", 6, "M"],
        "fully_connected": [],
        "activation": "relu",
        "output_bias": False,
        "epochs": 30,
        "batch_size": 12,
        "convolutional_rates": RATES,
        "fully_connected_rates": RATES,
    },
    "examined_layers": [1, 2],
    "heads": {"epochs": 30, "batch_size": 12, "images": "augmented", **RATES},
}
TINY = {
    "dataset": "tiny",
    "arch": "tiny",
    "seeds": [0],
    "epochs_scale": 0.1,
    "precision": "bf16",
    "threshold": 0.3,
    "validation": {"images": 6, "seed": 0},
    "dilution": {"other_layers": [1], "retrain_heads": True},
    "figures": {"dpi": 50, "font_size": 9, "colormap": "viridis"},
    "explorer": {"images": 2},
    "datasets.tiny": DATASET,
    "archs.tiny": ARCH,
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    output: str

    @property
    def ran(self) -> list[str]:
        """The stages that DVC ran; not those that it restored from its cache."""
        return re.findall("^Running stage '(.+)'", self.output, re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """A folder with a copy of the project, and the environment for commands in it."""

    folder: Path
    environment: Mapping[str, str]

    def python(self, *arguments: str, umask: int = 0o022, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            umask=umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return Ended(done.returncode, done.stdout)

    def dvc(self, *arguments: str, **environment: str) -> Ended:
        return self.python("dvc", *arguments, **environment)

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, env=self.environment, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("-c", "user.name=Someone", "-c", "user.email=someone@example.org", "commit", "--quiet", "-m", "Run")

    def copied(self, folder: Path) -> "Place":
        # Whoever asks only which stages run has them on one thread, since others run beside.
        return Place(shutil.copytree(self.folder, folder), {**self.environment, "OMP_NUM_THREADS": "1"})

    def set_params(self, changes: Mapping[str, Any]) -> None:
        files = {"catalog.yaml": {}, "params.yaml": {}}
        for key, value in changes.items():
            files["catalog.yaml" if key.startswith(("archs.", "datasets.")) else "params.yaml"][key] = value
        for name, changed in files.items():
            if changed:
                self._change(self.folder / name, changed)

    def _change(self, path: Path, changes: Mapping[str, Any]) -> None:
        yaml = YAML()
        yaml.width = 200
        yaml.default_flow_style = None  # lists in brackets, as they are in the file
        yaml.representer.ignore_aliases = lambda value: True  # what is there twice is written twice
        values = yaml.load(path)
        for key, value in changes.items():
            *rows, last = key.split(".")
            reduce(getitem, rows, values)[last] = value
        yaml.dump(values, path)

    def add_image(self) -> None:
        write_image(self.folder / "data/images/tiny/train/green/new.png", np.random.default_rng(9), 1)

    def undo(self, before: "Place") -> None:
        """Give the parameters and the images back what they were."""
        for name in ("params.yaml", "catalog.yaml"):
            shutil.copy(before.folder / name, self.folder)
        shutil.rmtree(self.folder / "data/images")
        shutil.copytree(before.folder / "data/images", self.folder / "data/images")

    def stages(self) -> dict[str, Any]:
        return YAML(typ="safe").load(self.folder / "dvc.yaml")["stages"]

    def outs(self) -> list[str]:
        """All files that the stages make; known once DVC has run them."""
        stages = YAML(typ="safe").load(self.folder / "dvc.lock")["stages"].values()
        outs = [self.folder / out["path"] for stage in stages for out in stage["outs"]]
        files = [file for out in outs for file in (sorted(out.rglob("*")) if out.is_dir() else [out])]
        return [str(file.relative_to(self.folder)) for file in files]

    def digests(self, files: Iterable[str]) -> dict[str, str]:
        return {file: hashlib.sha256((self.folder / file).read_bytes()).hexdigest() for file in files}

    def everything(self) -> dict[str, str]:
        """All files with their digests, but for the log and what Git and DVC keep for themselves."""
        files = [str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file()]
        return self.digests(file for file in files if not re.match(r"\.git/|\.dvc/tmp/|logs/|.*__pycache__", file))


def write_image(path: Path, generator: np.random.Generator, label: int) -> None:
    """8x8 pixels of noise, with a tint that tells the label."""
    pixels = generator.integers(176, size=(8, 8, 3), dtype=np.uint8)
    pixels[:, :, label] += 80
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_place(folder: Path, environment: Mapping[str, str]) -> Place:
    """Copy this tree, whether committed or not yet, without what was made from it, and add what is tiny."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *COPIED]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 5)):
        for label, class_name in enumerate(("blue", "green", "red")):
            for number in range(count):
                write_image(folder / f"data/images/tiny/{split}/{class_name}/{number}.png", generator, label)
    place = Place(folder, environment)
    place.set_params(TINY)
    place.git("init", "--quiet")
    return place


def own_environment(dvc_settings: Path) -> dict[str, str]:
    """An environment in which nothing of the user's own settings counts."""
    users = ("DVC_", "GIT_", "DATASET_", "SINGLEFILTER_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(users)}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_GLOBAL_CONFIG_DIR": str(dvc_settings),
        "DVC_SYSTEM_CONFIG_DIR": str(dvc_settings),
        "DVC_SITE_CACHE_DIR": str(dvc_settings),
        "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "SINGLEFILTER_DEVICE": "cpu",
    }
