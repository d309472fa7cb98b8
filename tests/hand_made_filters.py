"""Filters whose clusters and noise are known by hand."""

import numpy as np


def clipped_filters() -> np.ndarray:
    """Five filters of four labels whose clusters and noise are plain to see."""
    return np.array(
        [
            [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]],  # (0, 1), noise 1
            [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]],  # (0), (2), (3), noise 2
            [[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # none, noise 3
            [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],  # silent
            [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]],  # (0, 1, 2, 3), noise 0
        ],
        dtype=bool,
    )
