"""Train one sample of the chosen network, from scratch or from where a stopped run was."""

from pathlib import Path

import torch

from singlefilter.backbone import network as networks
from singlefilter.backbone import train as training
from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data, read_dataset
from singlefilter.pipeline.architecture import feature_bytes
from singlefilter.pipeline.files import read_digest, require_space
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.pipeline.tables import sample_files, write_digests
from singlefilter.training import device as devices
from singlefilter.training.checkpoint import Checkpoint, code_digest
from stages import run

# Of the weights: the network's file, and weights and momenta in three checkpoints, of which one is being written.
COPIES = 7


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
    require_room(network, data, params, seed)
    history = training.train(network, data, params, seed, device, checkpoint)
    path, made = Path(f"models/backbone/seed{seed}.h5"), made_with(params, seed, "network")
    networks.save_network(path, network, data.digest, made)
    table, digests = sample_files(Path("metrics/history"), seed)
    training.write_history(table, history)
    write_digests(digests, [table], made | {"network": read_digest(path, f"train_backbone@{seed}")})
    checkpoint.remove()


def require_room(network: Network, data: Data, params: Params, seed: int) -> None:
    """Refuse to train for hours what the disk cannot hold; nor the features, whose parameters change nothing here."""
    arch, present = params.chosen_arch, Path(f"features/seed{seed}").glob("*.h5")
    needed = feature_bytes(network.backbone, network.image_size, arch.examined_layers, data.passes(arch.heads.views))
    replaced = sum(path.stat().st_size for path in present)
    require_space(Path("features"), needed - replaced, "examine fewer layers or heads.views")
    weights = sum(values.nbytes for values in network.state_dict().values())
    require_space(Path("models"), weights * COPIES, "train a smaller network")


if __name__ == "__main__":
    run(main, per_sample=True)
