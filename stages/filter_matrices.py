"""Gather the field and decision matrices of every filter of a sample's examined layers."""

from pathlib import Path

import h5py

from singlefilter.features.extract import feature_path, open_features
from singlefilter.filters.matrices import filter_matrices, images_a_pass
from singlefilter.heads.train import read_head
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.files import made_with_of, read_digest, read_hdf5, write_hdf5
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> None:
    heads, made_by = Path(f"models/heads/seed{seed}.h5"), f"train_heads@{seed}"
    with read_hdf5(heads, made_by, made_with(params, seed, "heads")) as file:
        made = made_with_of(file) | {"heads": read_digest(heads, made_by)}
    with write_hdf5(Path(f"metrics/filters/seed{seed}.h5"), made) as out:
        for layer in progress(params.chosen_arch.examined_layers, f"filters, sample {seed}", "layer"):
            _write_layer(out, params, layer, seed)


def _write_layer(out: h5py.File, params: Params, layer: int, seed: int) -> None:
    device = chosen_device()
    path = feature_path(Path(f"features/seed{seed}"), layer)
    made = made_with(params, seed, "features") | {"layer": layer}
    with open_features(path, f"extract_features@{seed}", made) as features:
        head = Path(f"models/heads/seed{seed}.h5")
        weights, accuracies = read_head(head, layer, features.origin, f"train_heads@{seed}")
        group = out.create_group(f"layer{layer}")
        group.attrs.update(accuracies)
        out.attrs["class_names"] = features.class_names
        for split in ("train", "test"):
            batches = features.stream(split, images_a_pass(weights))
            matrices = filter_matrices(batches, weights, device)
            group[f"{split}/fields"] = matrices.fields
            group[f"{split}/decisions"] = matrices.decisions
            if f"{split}/images_per_label" not in out:
                out[f"{split}/images_per_label"] = matrices.images_per_label


if __name__ == "__main__":
    run(main, per_sample=True)
