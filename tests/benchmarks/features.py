"""Writing features against the forward pass alone, its memory, and the layouts that an HDF5 file could have."""

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import torch

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data
from singlefilter.features.extract import IMAGES_PER_PASS
from singlefilter.pipeline.params import Arch
from singlefilter.training.augment import scale
from tests.benchmarks.harness import (
    Options,
    bytes_text,
    in_fresh_process,
    judged,
    params_of,
    peak_beyond,
    quiet,
    ratios,
    run,
    seconds_of,
    seconds_text,
    show,
    table,
    time_in_turn,
)
from tests.benchmarks.synthetic import IMAGE_SIZE, LABELS, feature_shapes, random_data
from tests.feature_files import feature_path, write_features

ARCH = "vgg6"
MOST_ON_TOP = 0.25
CIFAR_IMAGES = 60_000
LAYOUT_LAYER = 2


@dataclass(frozen=True)
class Layout:
    """How a data set of features lies in its file: images a chunk (0: in one piece), type, and compression."""

    chunk: int
    dtype: str
    compression: str | None

    @property
    def text(self) -> str:
        return f"chunks of {self.chunk} images" if self.chunk else "one piece"


LAYOUTS = [
    Layout(0, "float16", None),  # ours
    Layout(0, "float32", None),
    *(Layout(1, dtype, kind) for dtype in ("float16", "float32") for kind in (None, "lzf", "gzip")),
    *(Layout(100, "float16", kind) for kind in (None, "lzf", "gzip")),
]


def new_network(arch: Arch) -> Network:
    torch.manual_seed(0)
    return Network(arch.backbone, LABELS, IMAGE_SIZE).eval()


@torch.no_grad()
def forward(network: Network, data: Data, layers: tuple[int, ...]) -> None:
    """The forward pass up to the last examined layer, in the same batches as write_features."""
    for split in data.splits.values():
        for start in range(0, len(split.labels), IMAGES_PER_PASS):
            network.layer_outputs(scale(torch.from_numpy(split.images[start : start + IMAGES_PER_PASS])), layers)


def write(folder: Path, network: Network, data: Data, layers: tuple[int, ...]) -> None:
    with quiet():
        write_features(folder, network, data, layers)


def write_plainly(folder: Path, size: int) -> None:
    """Write as many bytes to one file, down to the disk: the physical limit of writing alone."""
    block = np.random.default_rng(0).bytes(2**24)
    with (folder / "plain").open("wb", buffering=0) as file:
        for start in range(0, size, len(block)):
            file.write(block[: size - start])
        os.fsync(file.fileno())


def peak_of(way: str, images: int) -> int | None:
    """The memory beyond network and images, in bytes; for a process of its own."""
    arch = params_of(ARCH).chosen_arch
    network, data = new_network(arch), random_data(images, 1)
    forward(network, random_data(1, 1), arch.examined_layers)  # what torch starts once
    if way == "forward":
        return peak_beyond(lambda: forward(network, data, arch.examined_layers))
    with TemporaryDirectory() as folder:
        return peak_beyond(lambda: write(Path(folder), network, data, arch.examined_layers))


def speed_row(folder: Path, images: int, bytes_written: int, repeats: int) -> list[str]:
    arch = params_of(ARCH).chosen_arch
    network, data = new_network(arch), random_data(images, 1)
    seconds = time_in_turn(
        {
            "forward": lambda: forward(network, data, arch.examined_layers),
            "ours": lambda: write(folder, network, data, arch.examined_layers),
            "disk": lambda: write_plainly(folder, bytes_written),
        },
        repeats,
    )
    on_top, least, most = (value - 1 for value in ratios(seconds["ours"], seconds["forward"]))
    return [
        f"{ARCH}, {images:,} images, {bytes_text(bytes_written)}",
        *(seconds_text(float(np.median(seconds[name]))) for name in ("forward", "ours")),
        f"{on_top:.0%} ({least:.0%}–{most:.0%})",
        seconds_text(float(np.median(seconds["disk"]))),
        judged(f"≤ {MOST_ON_TOP:.0%} on top", on_top <= MOST_ON_TOP),
    ]


def memory_text(images: int, of_pass: int) -> str:
    alone, ours = (in_fresh_process(peak_of, way, images) for way in ("forward", "write"))
    if alone is None or ours is None:
        return "Peak memory: this system does not tell it."
    beyond = max(ours - alone, 0)
    aim = judged("at most one pass's outputs more", beyond <= of_pass)
    return (
        f"Peak memory beyond network and images: forward pass alone {bytes_text(alone)}, write_features "
        f"{bytes_text(ours)}, so {bytes_text(beyond)} more; the outputs of one pass of {IMAGES_PER_PASS} images, as "
        f"the network gives them, have {bytes_text(of_pass)} (aim: {aim})."
    )


def layout_row(path: Path, layout: Layout, values: np.ndarray, order: np.ndarray) -> list[str]:
    """Write features, float16 (N, F, H, W), in a layout, and read them, singly in an order and as a whole."""
    stored = values.astype(layout.dtype)
    writing = seconds_of(lambda: write_layout(path, layout, stored)) / len(values)
    shuffled = seconds_of(lambda: read_images(path, order)) / len(order)
    whole = seconds_of(lambda: read_whole(path)) / len(values)
    size = f"{path.stat().st_size / len(values) / 1024:.1f} KiB"
    path.unlink()
    times = (seconds_text(1000 * seconds) for seconds in (writing, shuffled, whole))
    return [layout.text, layout.dtype, layout.compression or "none", size, *times]


def write_layout(path: Path, layout: Layout, values: np.ndarray) -> None:
    chunks = (min(layout.chunk, len(values)), *values.shape[1:]) if layout.chunk else None
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=values, chunks=chunks, compression=layout.compression)


def read_images(path: Path, order: np.ndarray) -> None:
    with h5py.File(path) as file:
        features = file["features"]
        for index in order:
            features[index]


def read_whole(path: Path) -> None:
    with h5py.File(path) as file:
        file["features"][()]


def disk_text() -> str:
    sizes = {arch: 2 * elements_an_image(params_of(arch).chosen_arch) * CIFAR_IMAGES for arch in ("vgg16", "vgg6")}
    texts = (f"{arch} {size / 1e9:.2f} GB" for arch, size in sizes.items())
    return f"A CIFAR-10 sample (60,000 images, float16, all examined layers): {', '.join(texts)}."


def elements_an_image(arch: Arch) -> int:
    return sum(filters * positions for filters, positions in feature_shapes(arch).values())


def report(options: Options) -> None:
    images = options.image_count(5_000, quick=200)
    of_image = 2 * elements_an_image(params_of(ARCH).chosen_arch)
    with TemporaryDirectory() as name:
        folder = Path(name)
        speed = speed_row(folder, images, images * of_image, options.times(5))
        with h5py.File(feature_path(folder, LAYOUT_LAYER)) as file:
            values = file["train/features"][()]
        order = np.random.default_rng(0).permutation(images)[: 20 if options.quick else 200]
        layouts = [layout_row(folder / "layout.h5", layout, values, order) for layout in LAYOUTS]
    notes = (
        "Textbook: the forward pass alone, nothing kept. Ours: features.write_features, down to the disk. Beside it "
        "a plain write of as many bytes. The network is untrained and its images are random."
    )
    show(
        "Features",
        notes,
        table(["work", "forward pass", "ours", "on top (min–max)", "plain write", "aim"], [speed]),
        memory_text(images, min(IMAGES_PER_PASS, images) * of_image * 2),  # float32 has two float16
        table(
            ["layout", "type", "compression", "an image", "write 1,000", "read 1,000 shuffled", "read 1,000 in order"],
            layouts,
        ),
        f"Layouts are of layer {LAYOUT_LAYER}'s features, shuffled reads one image at a time, all from the system's "
        f"cache; ours is the first. Trained networks' features may compress otherwise. {disk_text()}",
    )


if __name__ == "__main__":
    run(report)
