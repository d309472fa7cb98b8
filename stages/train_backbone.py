"""Train one sample of the chosen network, from scratch or from where a stopped run was."""

from pathlib import Path

import torch

from singlefilter import devices, networks, training
from singlefilter.checkpoints import Checkpoint, code_digest
from singlefilter.datasets import read_dataset
from singlefilter.files import read_digest
from singlefilter.params import Params
from singlefilter.provenance import made_with
from singlefilter.table_files import sample_files, write_digests
from stages import run


def main(params: Params, seed: int) -> None:
    data = read_dataset(Path("data/dataset.h5"), made_with(params, None, "images"))
    device = devices.chosen_device()
    devices.warn_if_slow(device, params.precision)
    row = params.chosen_dataset
    checkpoint = Checkpoint(
        Path("checkpoints/backbone"),
        backbone=params.chosen_arch.backbone.model_dump(),
        epochs_scale=params.epochs_scale,
        precision=params.precision,
        augmentation=[row.flip, row.translation],
        images=data.fingerprints,
        seed=seed,
        device=device.type,
        torch=torch.__version__,
        code=code_digest(),
    )
    network = training.new_network(data, params, seed)
    history = training.train(network, data, params, seed, device, checkpoint)
    path, made = Path(f"models/backbone/seed{seed}.h5"), made_with(params, seed, "network")
    networks.save_network(path, network, data.digest, made)
    table, digests = sample_files(Path("metrics/history"), seed)
    training.write_history(table, history)
    write_digests(digests, [table], made | {"network": read_digest(path, f"train_backbone@{seed}")})
    checkpoint.remove()


if __name__ == "__main__":
    run(main, per_sample=True)
