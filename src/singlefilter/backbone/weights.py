"""Trained weights for a network that is no chain: from a file of the user's, or as torchvision publishes them."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError

import torch
import torchvision
from torch import Tensor, nn

from singlefilter.backbone.any_network import AnyNetwork, network_name
from singlefilter.backbone.modules import WITHOUT_FURTHER_OUTPUTS
from singlefilter.pipeline.artifacts import in_project
from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.params import WeightsFile

SHOWN = 3  # keys that differ, in an error
# In torchvision's files modules are called norm.1, conv.2; PyTorch has since ruled out dots in names.
_OF_OLD_DENSENETS = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def load_weights(network: AnyNetwork) -> None:
    """Give a network the weights that its row asks for; without any it keeps those it was drawn with.

    An output layer with another number of labels keeps its drawn weights as well.

    Args:
        network: The network, changed in place.

    Raises:
        InputError: The weights are not there, not what their digest says, or of another network.
    """
    asked = network.backbone.weights
    if asked is None or asked == "random":
        return
    if isinstance(asked, WeightsFile):
        path = Path(asked.file)
        path = path if path.exists() else in_project(path)
        _require_digest(
            path, asked.sha256, "put the right file there, or, if it is the right one, change weights.sha256"
        )
    else:
        path = _published(network, asked)
    _put(network, _read(path), path)
    for name in _of_no_numbers(network.module):
        raise InputError(f"weights: {name} in {path} holds NaN or infinite values; use weights of another training")


def _of_no_numbers(module: nn.Module) -> Iterator[str]:
    """Name what holds NaN, and what is infinite although it is trained; of the rest it may be meant, as in a mask."""
    for name, values in module.state_dict().items():
        if isinstance(values, Tensor) and values.is_floating_point() and values.isnan().any():
            yield name
    for name, values in module.named_parameters():
        if values.requires_grad and values.isinf().any():
            yield name


def _require_digest(path: Path, expected: str, remedy: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"weights: {UnusableFile.of(path, error)}; put it there, or change weights.file") from error
    if not found.startswith(expected):
        raise InputError(f"weights: {path} has the SHA-256 {found}, where {expected} is expected; {remedy}")


def published_address(network: AnyNetwork, name: str) -> str:
    """Give where torchvision has published weights of a network.

    Raises:
        InputError: There are none of this name.
    """
    what = network_name(network.backbone)
    if network.backbone.torchvision is None:
        raise InputError(
            f"weights: {name!r} names weights of torchvision, and {what} is none of its networks; those of a file are "
            "{file: …, sha256: …}"
        )
    known = {row.name: row.url for row in torchvision.models.get_model_weights(what)}
    if what in WITHOUT_FURTHER_OUTPUTS:
        raise InputError(f"weights: those of {what} were trained with further outputs, which are not here; use random")
    if name not in known:
        raise InputError(f"weights: {name!r} is not published for {what}; allowed are random, {', '.join(known)}")
    return known[name]


def _published(network: AnyNetwork, name: str) -> Path:
    """Give the file of torchvision's weights, from torch's hub cache or downloaded into it, checked by its name."""
    url = published_address(network, name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), digest and digest[1], progress=False)
        except (URLError, RuntimeError, OSError) as error:
            raise InputError(f"weights: {url} cannot be downloaded ({error}); put it at {path}") from error
    if digest:
        _require_digest(path, digest[1], "remove it, and it is downloaded again")
    return path


def _read(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict; nothing in the file is executed."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a file that is none of PyTorch's, or a damaged one, leads to
        raise InputError(
            f"weights: {path} is no file of tensors alone; write it with torch.save(network.state_dict(), …), and its "
            "new digest into weights.sha256"
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not _is_state_dict(state):
        raise InputError(f"weights: {path} is no state dict; torch.save(network.state_dict(), …) writes one")
    return state


def _is_state_dict(state: object) -> bool:
    """Say whether an object is made of what load_state_dict takes: dense tensors by name, and versions of modules."""
    versions = getattr(state, "_metadata", None)
    return (
        isinstance(state, Mapping)
        and all(isinstance(name, str) for name in state)
        and all(isinstance(values, Tensor) and _is_dense(values) for values in state.values())
        and (versions is None or isinstance(versions, Mapping))
        and all(isinstance(of_module, Mapping) for of_module in (versions or {}).values())
    )


def _is_dense(values: Tensor) -> bool:
    return values.layout is torch.strided and not values.is_nested


def _put(network: AnyNetwork, state: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict as PyTorch does, whose modules also take what their earlier versions have written."""
    what, prefix = network_name(network.backbone), f"{network.layers.output_layer}."
    given = dict(state)
    if network.backbone.torchvision and what.startswith("densenet"):
        given = {_OF_OLD_DENSENETS.sub(r"\1\2", name): values for name, values in state.items()}
    output = {name: values for name, values in network.module.state_dict().items() if name.startswith(prefix)}
    if any(name in given and given[name].shape != values.shape for name, values in output.items()):  # other labels
        given = {name: values for name, values in given.items() if not name.startswith(prefix)} | output
    ordered = OrderedDict(given)
    ordered._metadata = getattr(state, "_metadata", None)  # the versions of the modules that wrote it
    try:
        lacking, unknown = network.module.load_state_dict(ordered, strict=False)
        told = [f"{name} is missing" for name in lacking] + [f"{name} is not known" for name in unknown]
    except (RuntimeError, ValueError, TypeError) as error:  # other shapes, or versions
        lines = [line.strip(" \t.") for line in str(error).splitlines() if not line.startswith("Error(s) in loading")]
        told = lines or [type(error).__name__]
    if told:
        raise InputError(
            f"weights: {path} is of another network than {what}: {', '.join(told[:SHOWN])}"
            f"{' …' if len(told) > SHOWN else ''}; name the network that they are of"
        )
