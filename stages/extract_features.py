"""Write what the examined layers of a sample's frozen network put out for every image."""

from pathlib import Path

from singlefilter.datasets import read_dataset
from singlefilter.devices import chosen_device
from singlefilter.features import Views, write_features
from singlefilter.files import read_digest
from singlefilter.networks import load_network
from singlefilter.params import Params
from singlefilter.provenance import made_with
from stages import run


def main(params: Params, seed: int) -> None:
    data = read_dataset(Path("data/dataset.h5"), made_with(params, None, "images"))
    path, made_by = Path(f"models/backbone/seed{seed}.h5"), f"train_backbone@{seed}"
    network = load_network(path, data.digest, made_by, made_with(params, seed, "network"))
    arch, row = params.chosen_arch, params.chosen_dataset
    views = Views(arch.heads.views, row.translation, row.flip, seed)
    folder, label = Path(f"features/seed{seed}"), f"features, sample {seed}"
    made = made_with(params, seed, "features") | {"network": read_digest(path, made_by)}
    write_features(folder, network, data, arch.examined_layers, chosen_device(), views, label, made)


if __name__ == "__main__":
    run(main, per_sample=True)
