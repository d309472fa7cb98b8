"""Remove filters and weights of a sample's heads, and measure the success rate that is left."""

from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from singlefilter.dilution.remove import Layer, Measurement, dilute
from singlefilter.dilution.retrain import retrain_heads
from singlefilter.features.extract import LayerFeatures, feature_path, open_features
from singlefilter.heads.train import read_head
from singlefilter.pipeline.errors import unusable
from singlefilter.pipeline.files import read_digest, read_hdf5, replacing
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.pipeline.tables import sample_files, write_digests
from singlefilter.statistics.cluster_means import cluster_layer
from singlefilter.training.checkpoint import Checkpoint, code_digest
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> None:
    rows = []
    checkpoints = []
    for layer in params.diluted_layers:
        measurements = list(dilute(read_layer(params, seed, layer), (seed, layer)))
        if params.dilution.retrain_heads:
            retrained, checkpoint = retrain_layer(params, seed, layer)
            measurements += retrained
            checkpoints.append(checkpoint)
        rows += [{"seed": seed, "layer": layer, **asdict(measurement)} for measurement in measurements]
    table = pd.DataFrame(rows).astype({"label": "Int64", "removed_filters": "Int64"})  # whole numbers beside empty ones
    path, digests = sample_files(Path("metrics/dilution"), seed)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    made = made_with(params, seed, "dilution") | {"heads": read_digest(heads_path(seed), f"train_heads@{seed}")}
    write_digests(digests, [path], made)
    for checkpoint in checkpoints:
        checkpoint.remove()


def read_layer(params: Params, seed: int, layer: int) -> Layer:
    """Read a layer's head and test set, and find its clusters."""
    with open_layer(params, seed, layer) as file:
        features, labels = file.whole("test")
        made_by, made = f"train_heads@{seed}", made_with(params, seed, "heads")
        weights, _ = read_head(heads_path(seed), layer, file.origin, made_by, made)
    # float16 is slow to widen, and every dilution would do it again.
    return Layer(weights, features.astype(np.float32), labels, read_member(params, seed, layer))


def retrain_layer(params: Params, seed: int, layer: int) -> tuple[list[Measurement], Checkpoint]:
    """Train a layer's head anew on what random removals leave; its checkpoint is to be removed when all is written."""
    device = chosen_device()
    with open_layer(params, seed, layer) as file:
        train, test = ([torch.from_numpy(part).to(device) for part in file.whole(split)] for split in ("train", "test"))
        label_count, origin = len(file.class_names), file.origin
    checkpoint = Checkpoint(
        Path("checkpoints/dilution"),
        heads=params.chosen_arch.heads.model_dump(),
        epochs_scale=params.epochs_scale,
        layer=layer,
        origin=origin,
        seed=seed,
        device=device.type,
        torch=torch.__version__,
        code=code_digest(),
    )
    return retrain_heads(train, test, label_count, params, (seed, layer), checkpoint), checkpoint


def read_member(params: Params, seed: int, layer: int) -> np.ndarray:
    """Find which labels are in some cluster of each filter, Boolean (F, K)."""
    path, made_by = Path(f"metrics/filters/seed{seed}.h5"), f"filter_matrices@{seed}"
    heads = {"heads": read_digest(heads_path(seed), f"train_heads@{seed}")}
    with read_hdf5(path, made_by, made_with(params, seed, "heads") | heads) as file:
        if f"layer{layer}" not in file:
            raise unusable(path, f"has no layer{layer}", made_by)
        fields, images_per_label = file[f"layer{layer}/test/fields"], file["test/images_per_label"][:]
        return cluster_layer(fields, images_per_label, [params.threshold])[params.threshold].numbers >= 0


def open_layer(params: Params, seed: int, layer: int) -> AbstractContextManager[LayerFeatures]:
    path = feature_path(Path(f"features/seed{seed}"), layer)
    return open_features(path, f"extract_features@{seed}", made_with(params, seed, "features") | {"layer": layer})


def heads_path(seed: int) -> Path:
    return Path(f"models/heads/seed{seed}.h5")


if __name__ == "__main__":
    run(main, per_sample=True)
