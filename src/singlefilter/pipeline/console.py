"""Progress of long steps: a bar on a terminal, elsewhere lines with the time left."""

import math
import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

SECONDS_BETWEEN = 1  # between two lines, so that a log of fast units can be read


class Progress:
    """Counts through a long step and says how far it is.

    Args:
        label: What is being done, such as "vgg16, sample 0".
        total: The number of units.
        start: The unit to begin with, where earlier ones are already done.
        unit: What is counted.
    """

    def __init__(self, label: str, total: int, start: int = 0, unit: str = "epoch"):
        self.label, self.total, self.start, self.unit = label, total, start, unit
        self._note = ""

    def note(self, text: str) -> None:
        """Set what is shown beside the count, such as the loss; call it inside the loop."""
        self._note = text

    def __iter__(self) -> Iterator[int]:
        return self._bar() if sys.stderr.isatty() else self._lines()

    def _bar(self) -> Iterator[int]:
        with tqdm(total=self.total, initial=self.start, desc=self.label, unit=f" {self.unit}") as bar:
            for done in range(self.start, self.total):
                yield done
                bar.set_postfix_str(self._note, refresh=False)
                bar.update()

    def _lines(self) -> Iterator[int]:
        began, printed = time.monotonic(), -math.inf
        for done in range(self.start, self.total):
            yield done
            now, count = time.monotonic(), done + 1
            if now - printed < SECONDS_BETWEEN and count < self.total:
                continue
            printed = now
            left = (now - began) / (count - self.start) * (self.total - count)
            note = f", {self._note}" if self._note else ""
            print(f"{self.label}: {self.unit} {count}/{self.total}{note}, {_duration(left)} left", flush=True)


def _duration(seconds: float) -> str:
    """Write a duration as 1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
