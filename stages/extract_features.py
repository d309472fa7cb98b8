"""Write what the examined layers of a sample's frozen network put out for every image."""

from pathlib import Path

from singlefilter.backbone.network import load_network
from singlefilter.data.dataset import read_dataset
from singlefilter.features.extract import Views, write_features
from singlefilter.pipeline.files import read_digest
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.training.device import chosen_device
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
