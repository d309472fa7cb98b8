"""A training whose process ends when its state has been saved."""

from pathlib import Path

from singlefilter.training.checkpoint import Checkpoint


class Killed(Exception):
    """Stands for the end of a process."""


class KilledAfter(Checkpoint):
    """A checkpoint whose process ends when it has been saved after so many epochs."""

    def __init__(self, folder: Path, epochs: int):
        super().__init__(folder, {})
        self.saves_left = epochs

    def save_if_due(self, state: dict) -> None:
        super().save_if_due(state)
        self.saves_left -= 1
        if not self.saves_left:
            raise Killed
