"""A tiny data set, and parameters that fit it."""

import copy
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, sync_playwright

from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import parse_params
from singlefilter.training.checkpoint import Checkpoint

# A shell lets what it starts in the background ignore SIGINT, and so would all the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"]

# The files that take longest, in the order in which workers get them: one that came last would keep a worker alone.
LONGEST = ("test_chain", "test_spread", "test_own_images", "test_ranks", "test_resume")

TINY = {
    "dataset": "tiny",
    "arch": "tiny",
    "seeds": [0],
    "epochs_scale": 1,
    "precision": "float32",
    "threshold": 0.3,
    "validation": {"images": 0, "seed": 0},
    "features": {"pooled": False, "streamed_layers": []},
    "dilution": {"other_layers": [], "retrain_heads": False},
    "figures": {"dpi": 50, "font_size": 9, "colormap": "viridis"},
    "explorer": {"images": 2},
    "datasets": {"tiny": {"source": "class_folders", "image_size": 8, "flip": True, "translation": 1}},
    "archs": {
        "tiny": {
            "backbone": {
                "convolutions": [4, "M", 6],
                "fully_connected": [5],
                "activation": "relu",
                "output_bias": False,
                "epochs": 3,
                "batch_size": 8,
                "convolutional_rates": {
                    "learning_rate": 0.05,
                    "momentum": 0.9,
                    "weight_decay": 0.001,
                    "decay": [{"first": 1, "every": 1, "factor": 0.5}],
                },
                "fully_connected_rates": {
                    "learning_rate": 0.02,
                    "momentum": 0.8,
                    "weight_decay": 0.01,
                    "decay": [{"first": 2, "every": 1, "factor": 0.1}],
                },
            },
            "examined_layers": [1, 2],
            "heads": {
                "epochs": 3,
                "batch_size": 8,
                "images": "plain",
                "learning_rate": 0.1,
                "momentum": 0.9,
                "weight_decay": 0.02,
                "decay": [{"first": 1, "every": 1, "factor": 0.6}],
            },
        }
    },
}


def pytest_configure(config: pytest.Config) -> None:
    config.option.loadscopereorder = False  # of xdist, which would begin with the files of the most tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        is_long = item.get_closest_marker("chain") and item.path.stem in LONGEST
        return LONGEST.index(item.path.stem) if is_long else len(LONGEST)

    items.sort(key=place)


@pytest.fixture
def make_params() -> Callable[..., Params]:
    """Build tiny parameters; changes to the rows `backbone` and `heads` are given as dicts, to the rest by name."""

    def make(backbone: dict[str, Any] | None = None, heads: dict[str, Any] | None = None, **changes: Any) -> Params:
        values = copy.deepcopy(TINY) | changes
        values["archs"]["tiny"]["backbone"] |= backbone or {}
        values["archs"]["tiny"]["heads"] |= heads or {}
        return parse_params(values)

    return make


@pytest.fixture
def data() -> Data:
    """Three labels, each a colour under noise: 22 training and 13 test images of 8x8 pixels."""
    generator = np.random.default_rng(5)
    return Data("tiny", ("red", "green", "blue"), _split(generator, 22), _split(generator, 13))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium that finds no host."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        missing = f"no browser: none of {', '.join(BROWSERS)} is on the PATH"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"{missing}, and REQUIRE_BROWSER=1")
        pytest.skip(f"{missing} (REQUIRE_BROWSER=1 makes this a failure)")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=executable, args=OPTIONS)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A checkpoint that holds nothing yet."""
    return Checkpoint(tmp_path / "checkpoints", {})


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute in one thread: on a busy machine, tiny tensors take ten times as long in two that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _split(generator: np.random.Generator, count: int) -> Split:
    labels = generator.integers(3, size=count)
    images = generator.integers(156, size=(count, 8, 8, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 100
    return Split(images, labels)
