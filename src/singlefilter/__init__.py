"""What single filters of a trained network stand for: the method of Tzach et al. (2023), arXiv 2305.18078.

The functions for notebooks; each takes arrays, tensors or modules, and needs no files:

load_dataset, train_backbone, extract_features, train_heads, filter_matrices, find_clusters, layer_statistics,
plot_filter, show_filter

What they raise is InputError.
"""

import logging
import os
from importlib import import_module
from typing import Any

__all__ = [
    "load_dataset",
    "train_backbone",
    "extract_features",
    "train_heads",
    "filter_matrices",
    "find_clusters",
    "layer_statistics",
    "plot_filter",
    "show_filter",
    "InputError",
]

# Matplotlib warns at length of a home that it cannot write to, as soon as it is imported, and does without one.
_ABOUT_HOME = (
    "mkdir -p failed for path",
    "%s is not a writable directory",
    "Matplotlib created a temporary cache directory",
    "Matplotlib is building the font cache",
)
if not os.environ.get("MPLCONFIGDIR"):  # of a folder that the user has named it is to warn
    for _name in ("matplotlib", "matplotlib.font_manager"):
        logging.getLogger(_name).addFilter(lambda record: not str(record.msg).startswith(_ABOUT_HOME))


def __getattr__(name: str) -> Any:  # on first use, since PyTorch takes seconds to import
    if name not in __all__:
        raise AttributeError(f"module 'singlefilter' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module("singlefilter.notebook"), name)


def __dir__() -> list[str]:
    return __all__
