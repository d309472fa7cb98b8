"""Write what the examined layers of a sample's frozen network put out for every image."""

from pathlib import Path

from singlefilter.datasets import read_dataset
from singlefilter.devices import chosen_device
from singlefilter.features import write_features
from singlefilter.networks import load_network
from singlefilter.params import Params
from stages import run


def main(params: Params, seed: int) -> None:
    data = read_dataset(Path("data/dataset.h5"))
    network = load_network(Path(f"models/backbone/seed{seed}.h5"), f"train_backbone@{seed}")
    layers = params.chosen_arch.examined_layers
    write_features(Path(f"features/seed{seed}"), network, data, layers, chosen_device(), f"features, sample {seed}")


if __name__ == "__main__":
    run(main, per_sample=True)
