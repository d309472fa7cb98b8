"""The layers of any network: which there are, in which order, and what they put out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from singlefilter.pipeline.errors import InputError

IMAGES = 2  # of the pass; what does not put out as many has no output per image
UNCLEAR = "puts out as many columns as filters, and either may come first; examine another layer, or change image_size"
# By which name modules say how many features they put out, and on which axis these are.
_FEATURES_AT = {
    **dict.fromkeys(("out_channels", "num_features", "num_channels"), 1),
    **dict.fromkeys(("out_features", "embed_dim", "embedding_dim"), -1),
}


@dataclass(frozen=True)
class Place:
    """A module that can be examined: it puts out a tensor, once in a pass.

    Attributes:
        number: Its place in the order in which modules end, counted from 1.
        name: As network.named_modules() has it.
        filters: F: channels, or the embedding's dimensions of a transformer.
        positions: S: pixels, or tokens.
        depth: The share of the network's layers with weights that it ends; the output layer is left out.
        multiply_accumulates: Of one image's way up to there.
    """

    number: int
    name: str
    filters: int
    positions: int
    depth: float
    multiply_accumulates: int


@dataclass(frozen=True)
class Layers:
    """What a network is made of.

    Attributes:
        places: The modules that can be examined, by name, in their order.
        repeated: The names of modules that are called more than once, and so have no output of their own.
        unclear: The names of places whose filters cannot be told from the columns of their pixels.
        output_shape: Of what the network puts out for two images; empty if it is no tensor.
        output_layer: The name of the last module with weights.
        multiply_accumulates: Of one image's forward pass.
    """

    places: Mapping[str, Place]
    repeated: Collection[str]
    unclear: Collection[str]
    output_shape: tuple[int, ...]
    output_layer: str
    multiply_accumulates: int


class WithoutMemory(TorchFunctionMode):
    """Within this context, new weights have shapes alone.

    Unlike torch.device("meta") it leaves alone the arithmetic by which some networks find their sizes.
    """

    _MAKERS = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.randn, torch.rand})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **(kwargs | {"device": "meta"} if func in self._MAKERS else kwargs))


@torch.no_grad()
def find_layers(module: nn.Module, image_size: int) -> Layers:
    """Pass two grey images through a network, and list its layers.

    Args:
        module: The network; in eval mode afterwards. On the meta device nothing is computed.
        image_size: Height and width of the images, in pixels.

    Raises:
        RuntimeError, or whatever else the network raises for images of this size.
    """
    device = next((weights.device for weights in module.parameters()), torch.device("cpu"))
    calls: Counter[str] = Counter()
    found: dict[str, tuple[tuple[int, ...], int, int]] = {}  # shape, layers with weights that have ended, operations
    unclear: set[str] = set()
    weighted: list[str] = []  # modules with weights, as they end

    def ended(name: str, layer: nn.Module, output: Any, features: _Features) -> None:
        calls[name] += 1
        if name and any(weights.ndim > 1 for weights in layer.parameters(recurse=False)):
            weighted.append(name)
        if isinstance(output, Tensor) and output.ndim > 1 and len(output) == IMAGES and name:
            filters_first = _filters_first(output, layer, features)
            if filters_first is None:
                unclear.add(name)
                filters_first = output  # filters and positions are as many either way
            found[name] = tuple(filters_first.shape), len(weighted), counter.get_total_flops()

    with _all_counted(module), _watching(module.eval(), ended), FlopCounterMode(display=False) as counter:
        output = module(torch.zeros(IMAGES, 3, image_size, image_size, device=device))
    output_layer = weighted[-1] if weighted else ""
    places: dict[str, Place] = {}
    for name, (shape, layers_ended, operations) in found.items():
        if calls[name] == 1:
            filters, positions = shape[1], torch.Size(shape[2:]).numel()
            depth = min(layers_ended / max(len(weighted) - 1, 1), 1.0)
            macs = operations // (2 * IMAGES)  # a multiply-accumulate is two operations
            places[name] = Place(len(places) + 1, name, filters, positions, depth, macs)
    repeated = {name for name, count in calls.items() if count > 1}
    shape = tuple(output.shape) if isinstance(output, Tensor) else ()
    return Layers(places, repeated, unclear, shape, output_layer, counter.get_total_flops() // (2 * IMAGES))


@contextmanager
def _all_counted(module: nn.Module) -> Iterator[None]:
    """Have attention and LSTMs computed product by product: in one fused operation they are not counted."""
    mha, mkldnn = torch.backends.mha, torch.backends.mkldnn
    before = mha.get_fastpath_enabled(), mkldnn.enabled
    mha.set_fastpath_enabled(False)
    mkldnn.enabled &= not any(isinstance(layer, nn.LSTM) for layer in module.modules())
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        mha.set_fastpath_enabled(before[0])
        mkldnn.enabled = before[1]


@contextmanager
def tapped(module: nn.Module, names: Collection[str], to_the_last: bool = True) -> Iterator[dict[str, Tensor]]:
    """Keep what some layers put out in a pass within the block.

    Args:
        module: The network.
        names: Of the layers, as network.named_modules() has them.
        to_the_last: Whether to pass through the whole network; if not, the pass ends with the last of them.

    Yields:
        Name -> output, (N, F, …), filled by the pass. A layer that is called again has its last output.

    Raises:
        InputError: A layer puts out no tensor, or one whose filters cannot be told from its columns.
    """
    outputs: dict[str, Tensor] = {}

    def ended(name: str, layer: nn.Module, output: Any, features: _Features) -> None:
        if name in names:
            if not isinstance(output, Tensor):
                raise InputError(
                    f"layers: {name!r} puts out {type(output).__name__}, which is no tensor; examine a module within "
                    "or around it"
                )
            filters_first = _filters_first(output, layer, features)
            if filters_first is None:
                raise InputError(f"layers: {name!r} {UNCLEAR}")
            outputs[name] = filters_first.clone()  # what follows may change the output in place
            if len(outputs) == len(names) and not to_the_last:
                raise _AllFound

    with _watching(module, ended), suppress(_AllFound):
        yield outputs


class _AllFound(Exception):
    """Ends a pass once all layers are found."""


class _Features(NamedTuple):
    """What the last module with weights has put out.

    Attributes:
        count: How many features.
        axis: Where they are, 1 or -1.
        axes: How many the output has, with that of the images.
    """

    count: int
    axis: int
    axes: int = 0


@contextmanager
def _watching(module: nn.Module, ended: Callable[[str, nn.Module, Any, _Features], None]) -> Iterator[None]:
    """Call a function whenever a module has ended: with its name, itself, its output, and what that is of.

    The last is what the last module with weights has put out: the filters are where its features are.
    """
    features = _Features(0, 1)

    def watch(name: str, layer: nn.Module, output: Any) -> None:
        nonlocal features
        found = _features(layer)
        if found and isinstance(output, Tensor):
            found = found._replace(axes=output.ndim)
            if output.ndim == 2:  # as in squeeze-and-excitation: of no pixels
                found = found._replace(axis=features.axis, axes=features.axes)
        features = found or features
        ended(name, layer, output, features)

    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output, name=name: watch(name, layer, output))
        for name, layer in module.named_modules()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _features(layer: nn.Module) -> _Features | None:
    """Say what a layer puts out, by its weights; None for one without weights of its own."""
    for name, axis in _FEATURES_AT.items():
        if isinstance(getattr(layer, name, None), int) and any(True for _ in layer.parameters(recurse=False)):
            return _Features(getattr(layer, name), axis)
    if isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) == 1:
        return _Features(layer.normalized_shape[0], -1)
    return None


def _filters_first(output: Tensor, layer: nn.Module, features: _Features) -> Tensor | None:
    """Move the filters of an output behind its images: from the end, of tokens (N, T, E) and of pixels (N, H, W, C).

    None if they may be there or not.
    """
    if output.ndim not in (3, 4) or output.shape[-1] != features.count:
        return output
    if output.shape[1] == features.count:
        # What follows a layer-norm of pixels may have moved them back, as ConvNeXt does. What follows a convolution may
        # have moved its filters to the end; few networks do, and it cannot be told: the convolution decides.
        if output.ndim == 4 and features.axis == -1 and type(layer) not in (nn.Linear, nn.LayerNorm, nn.Embedding):
            return None
        return output.movedim(features.axis, 1)
    # After a convolution, columns may be as many by chance, as where outputs are concatenated; then rows are not. What
    # has three axes are tokens, but after a convolution of sequences it cannot be told.
    if output.ndim == 3 and features.axis == 1 and features.axes == 3:
        return None
    moved = output.ndim == 3 or features.axis == -1 or output.shape[1] == output.shape[2]
    return output.movedim(-1, 1) if moved else output
