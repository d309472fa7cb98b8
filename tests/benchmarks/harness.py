"""What all benchmarks share: ways of the same work timed in turn, their ratios, tables in Markdown, the machine."""

import argparse
import contextlib
import io
import multiprocessing
import platform
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from singlefilter.pipeline.machine import hardware
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import load_params
from singlefilter.training.device import processor_has_bf16
from tests.benchmarks import ROOT

GIB = 2**30
HEADINGS = ("work", "textbook", "ours", "ratio (min–max)", "share of the limit", "aim")
NONE = "–"

Choice = TypeVar("Choice", bound=Hashable)


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Attributes:
        repeats: How often each way is timed; 0 leaves it to the subject.
        quick: Sizes that show only that everything runs.
        images: How many images heads and features work on; 0 leaves it to the subject.
    """

    repeats: int = 0
    quick: bool = False
    images: int = 0

    def times(self, usual: int) -> int:
        """How often to time each way, where a full run does so `usual` times."""
        return self.repeats or (1 if self.quick else usual)

    def image_count(self, usual: int, quick: int) -> int:
        return self.images or (quick if self.quick else usual)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=0, help="how often each way is timed")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs, and judges nothing")
    parser.add_argument("--images", type=int, default=0, help="images of heads and features (CIFAR-10 has 50000)")


def chosen_options(arguments: argparse.Namespace) -> Options:
    return Options(arguments.repeats, arguments.quick, arguments.images)


def run(report: Callable[[Options], None]) -> None:
    """Run one benchmark from the command line, as `python -m tests.benchmarks.<subject>`."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    add_options(parser)
    options = chosen_options(parser.parse_args())
    print(machine(options), flush=True)
    report(options)


def params_of(arch: str, **heads: Any) -> Params:
    """Give params.yaml's values with an architecture on CIFAR-10, and the row `heads` changed."""
    params = load_params(ROOT / "params.yaml")
    row = params.archs[arch]
    row = row.model_copy(update={"heads": row.heads.model_copy(update=heads)})
    changes = {"arch": arch, "dataset": "cifar10", "epochs_scale": 1.0, "archs": params.archs | {arch: row}}
    return params.model_copy(update=changes)


def precision_here(device: torch.device) -> str:
    """Give the precision that training is quickest in: bf16, unless a processor has to emulate it."""
    return "bf16" if device.type == "cuda" or processor_has_bf16() else "float32"


def time_in_turn(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Time ways of doing the same work in turn, A B A B …, so that what else the machine does meets them alike.

    A first round is not timed: it fills caches, and makes what is made only once.

    Returns:
        For each way its seconds, float64 (repeats,).
    """
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way))
    return {name: np.array(values) for name, values in seconds.items()}


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Time work that is compared with nothing, after one untimed call."""
    return float(np.median(time_in_turn({"": work}, repeats)[""]))


def quickest(ways: Mapping[Choice, Callable[[], object]]) -> Choice:
    """Say which way is quickest: the textbook way is run as its user would run it on this machine."""
    for way in ways.values():
        way()
    return min(ways, key=lambda name: seconds_of(ways[name]))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep progress out of the tables."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function where nothing else has used memory yet."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_beyond(work: Callable[[], object]) -> int | None:
    """Measure how much more memory is resident during a call, at most, than before it.

    Returns:
        Bytes; None where the system does not tell (Linux does).
    """
    try:
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    except OSError:
        return None
    work()
    return _memory("VmHWM") - before


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def ratios(textbook: np.ndarray, ours: np.ndarray) -> tuple[float, float, float]:
    """Give median, smallest and largest of the ratios of measurements that were taken side by side."""
    paired = textbook / ours
    return float(np.median(paired)), float(paired.min()), float(paired.max())


def row(
    work: str,
    textbook: np.ndarray,
    ours: np.ndarray,
    least: float | None = None,
    share: str = NONE,
    aims: Sequence[str] = (),
) -> list[str]:
    """Make a row of the table under HEADINGS.

    Args:
        work: What was done.
        textbook: Seconds, float (repeats,).
        ours: Seconds, float (repeats,).
        least: How many times as fast ours should be, if there is such an aim.
        share: How near ours comes to what the machine can do.
        aims: Other aims, as `judged` gives them.
    """
    median, smallest, largest = ratios(textbook, ours)
    aims = [*([judged(f"≥ {least:g}×", median >= least)] if least else []), *aims]
    times = seconds_text(float(np.median(textbook))), seconds_text(float(np.median(ours)))
    ratio = f"{median:.3g} ({smallest:.3g}–{largest:.3g})"
    return [work, *times, ratio, share, "; ".join(aims) or NONE]


def judged(aim: str, reached: bool) -> str:
    return f"{aim}: {'reached' if reached else 'missed'}"


def seconds_text(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def bytes_text(count: float | None) -> str:
    if count is None:
        return NONE
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / 2**20:.1f} MiB"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show(title: str, notes: str, *tables: str) -> None:
    """Print one benchmark: its title, what was done, and the numbers."""
    print("\n".join(["", f"## {title}", "", notes, *(f"\n{text}" for text in tables)]), flush=True)


def machine(options: Options) -> str:
    """Say on what the numbers were measured, in Markdown."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    lines = [
        "# Benchmarks",
        "",
        f"* {hardware()} of memory; GPU: {gpu}",
        f"* {platform.system()}, Python {platform.python_version()}, torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, NumPy {np.__version__}",
        "* Times are medians; a ratio is the median of those of neighbours in time, textbook over ours.",
    ]
    if options.quick:
        lines.append("* **Quick: sizes too small to judge anything by.**")
    return "\n".join(lines)
