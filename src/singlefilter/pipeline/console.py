"""Progress of long steps: tqdm's bar on a terminal, elsewhere a line now and then."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN = 1  # between two lines, at least, so that a log of fast units can be read


def progress(things: Iterable[Any], label: str, unit: str, **options: Any) -> tqdm:
    """Go through things, and say how far it is and how much time is left.

    Args:
        things: What to go through.
        label: What is being done, such as "vgg16, sample 0".
        unit: What one of the things is called.
        options: More of tqdm's, such as `initial` and `total` where earlier things are already done.

    Returns:
        tqdm; what its `set_postfix_str(text, refresh=False)` is given, such as the loss, is shown beside the count.
    """
    if sys.stdout.isatty():
        return tqdm(things, label, unit=f" {unit}", file=sys.stdout, dynamic_ncols=True, **options)
    options |= {"mininterval": SECONDS_BETWEEN, "miniters": 1, "leave": False}
    line = "{desc}: {unit} {n_fmt}/{total_fmt}{postfix}, {remaining} left"
    return _Lines(things, label, unit=unit, file=sys.stdout, bar_format=line, **options)


class _Lines(tqdm):
    """Writes a line for each new count, where a bar would be written over the last one."""

    written: int | None = None

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        if self.n != self.written:
            print(self, file=self.fp, flush=True)
            self.written = self.n
