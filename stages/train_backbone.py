"""Train one sample of the chosen network, from scratch or from where a stopped run was."""

import sys
from collections.abc import Sequence
from pathlib import Path

from singlefilter.backbone.network import Trainable
from singlefilter.backbone.store import write_network
from singlefilter.backbone.train import Epoch, history_table, new_network, train
from singlefilter.data.dataset import Data
from singlefilter.data.store import read_dataset
from singlefilter.pipeline.artifacts import FEWER_FEATURES, Workspace, feature_bytes, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import require_space
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.tables import write_table
from singlefilter.training.checkpoint import Checkpoint
from singlefilter.training.device import chosen_device, warn_if_slow
from singlefilter.training.ranks import joined, leads
from stages import run

# Of the weights: the network's file, and weights and momenta in three checkpoints, of which one is being written.
COPIES = 7
LIVE = "logs/training/seed{seed}.csv"  # the history so far; the out is not there before the end


def main(params: Params, seed: int) -> float:
    files = Workspace(params)
    with files.read("dataset") as file:
        data = read_dataset(file)
    device = chosen_device()
    warn_if_slow(device, params.precision)
    network = new_network(data, params, seed)
    require_room(network, data, params, seed)
    checkpoint = Checkpoint.of_stage(files, "train_backbone", device, seed=seed)
    history = train(network, data, params, seed, device, checkpoint, lambda rows: write_live(rows, seed))
    if leads():
        with files.write("backbone", seed=seed) as file:
            write_network(file, network)
        files.write_table("history", history_table(history), seed=seed)
        checkpoint.remove()
    return checkpoint.seconds_before


def write_live(history: Sequence[Epoch], seed: int) -> None:
    """Write the history so far, to be looked at while the network is trained; the training does not need it."""
    try:
        write_table(Path(LIVE.format(seed=seed)), history_table(history))
    except (InputError, OSError) as error:
        print(f"{error}; training goes on all the same", file=sys.stderr)


def require_room(network: Trainable, data: Data, params: Params, seed: int) -> None:
    """Refuse to train for hours if the disk cannot hold the network, nor the features made from it afterwards."""
    arch = params.chosen_arch
    layers = set(arch.examined_layers) - set(params.features.streamed_layers)
    shapes = network.output_shapes(layers).values()
    if params.features.pooled:
        shapes = [(filters, 1) for filters, _ in shapes]
    needed = feature_bytes(shapes, data.image_count)
    present = [path_of("features", seed=seed, layer=layer) for layer in arch.examined_layers]
    replaced = sum(path.stat().st_size for path in present if path.exists())
    require_space(present[0].parents[1], needed - replaced, FEWER_FEATURES)
    weights = sum(values.nbytes for values in network.state_dict().values())
    require_space(path_of("backbone", seed=seed).parents[1], weights * COPIES, "train a smaller network")


if __name__ == "__main__":
    run(main, per_sample=True, joined=joined)
