"""Write the outputs of the examined layers of a sample's frozen network for every image."""

from contextlib import ExitStack

from singlefilter.data.store import read_dataset
from singlefilter.features.extract import write_features
from singlefilter.features.pooled import read_tapped
from singlefilter.features.store import write_place
from singlefilter.pipeline.artifacts import FEWER_FEATURES, Workspace, feature_bytes, path_of
from singlefilter.pipeline.files import require_space
from singlefilter.pipeline.params import Params
from singlefilter.training.device import chosen_device
from singlefilter.training.ranks import joined, leads
from stages import run


def main(params: Params, seed: int) -> None:
    files = Workspace(params)
    with files.read("dataset") as file:
        data = read_dataset(file)
    network = read_tapped(files, params, seed)
    layers, streamed = params.chosen_arch.examined_layers, params.features.streamed_layers
    needed = feature_bytes(network.output_shapes(set(layers) - set(streamed)).values(), data.image_count)
    print(f"features, sample {seed}: {needed / 1e9:.2f} GB on disk", flush=True)
    require_space(path_of("features", seed=seed, layer=layers[0]).parent, needed, FEWER_FEATURES)
    with ExitStack() as stack:
        written = layers if leads() else []
        outs = {layer: stack.enter_context(files.write("features", seed=seed, layer=layer)) for layer in written}
        for layer, out in outs.items():
            if not network.backbone.is_chain:
                write_place(out, network.depth_and_costs(layer))
        write_features(outs, layers, network, data, chosen_device(), f"features, sample {seed}", streamed)


if __name__ == "__main__":
    run(main, per_sample=True, joined=joined)
