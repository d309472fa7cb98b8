"""Write the outputs of the examined layers of a sample's frozen network for every image."""

from contextlib import ExitStack

from singlefilter.backbone.store import read_network
from singlefilter.data.store import read_dataset
from singlefilter.features.extract import Views, write_features
from singlefilter.pipeline.architecture import feature_bytes
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.files import require_space
from singlefilter.pipeline.params import Params
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> None:
    files = Workspace(params)
    with files.read("dataset") as file:
        data = read_dataset(file)
    with files.read("backbone", seed=seed) as file:
        network = read_network(file)
    arch, row = params.chosen_arch, params.chosen_dataset
    layers, views = arch.examined_layers, arch.heads.views
    needed = feature_bytes(arch.backbone, row.image_size, layers, data.passes(views))
    folder = path_of("features", seed=seed, layer=layers[0]).parent
    require_space(folder, needed, "examine fewer layers or heads.views")
    with ExitStack() as stack:
        outs = {layer: stack.enter_context(files.write("features", seed=seed, layer=layer)) for layer in layers}
        moved = Views(views, row.translation, row.flip, seed)
        write_features(outs, network, data, chosen_device(), moved, f"features, sample {seed}")


if __name__ == "__main__":
    run(main, per_sample=True)
