"""Files of features in a folder of their own, as the stage writes them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data
from singlefilter.features import extract
from singlefilter.features.store import LayerFeatures
from singlefilter.pipeline.files import read_hdf5, write_hdf5


def feature_path(folder: Path, layer: int) -> Path:
    return folder / f"layer{layer}.h5"


def write_features(folder: Path, network: Network, data: Data, layers: Sequence[int]) -> None:
    with ExitStack() as stack:
        files = {layer: stack.enter_context(write_hdf5(feature_path(folder, layer))) for layer in layers}
        extract.write_features(files, list(files), network, data, torch.device("cpu"))


@contextmanager
def open_features(folder: Path, layer: int) -> Iterator[LayerFeatures]:
    path = feature_path(folder, layer)
    with read_hdf5(path) as (file, _):
        yield LayerFeatures(file, path)
