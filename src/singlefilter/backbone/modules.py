"""The module that a row of archs names: one of torchvision's, or what a function in networks/ gives."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

import torchvision
from torch import nn

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, near

# Networks that compute their loss in passing, by further outputs, unless told not to.
WITHOUT_FURTHER_OUTPUTS = {"googlenet", "inception_v3"}
# Of a user's code. By sys.exit() it would end the stage as if all had gone well.
FAILURES = (Exception, SystemExit)


def torchvision_names() -> list[str]:
    """List torchvision's networks that classify images."""
    return torchvision.models.list_models(module=torchvision.models)


def make_module(backbone: Backbone, labels: int, image_size: int) -> nn.Module:
    """Make a row's module, with weights drawn at random.

    Args:
        backbone: The row.
        labels: How many outputs it is asked for.
        image_size: Height and width of the images, in pixels.

    Raises:
        InputError: There is no such network, or it cannot be made.
        AssertionError, ValueError: One of torchvision's takes no images of this size.
    """
    if backbone.torchvision is not None:
        return _of_torchvision(backbone.torchvision, labels, image_size)
    return _of_file(str(backbone.module), labels, image_size)


def _of_torchvision(name: str, labels: int, image_size: int) -> nn.Module:
    names = torchvision_names()
    if name not in names:
        raise InputError(
            f"torchvision: {name!r} is none of its {len(names)} networks; {near(name, names)}"
            "python -m stages.list_layers --networks lists them"
        )
    options: dict[str, object] = {"num_classes": labels}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    if name in WITHOUT_FURTHER_OUTPUTS:
        options |= {"aux_logits": False, "init_weights": False}
    return torchvision.models.get_model(name, weights=None, **options)


def _of_file(place: str, labels: int, image_size: int) -> nn.Module:
    """Call a function such as networks/mine.py:make_network."""
    path, _, function = place.partition(":")
    code = _load(Path(path))
    if not callable(getattr(code, function, None)):
        named = [name for name, value in vars(code).items() if callable(value) and not name.startswith("_")]
        raise InputError(f"module: {path} has no function {function}; {near(function, named)}it has {', '.join(named)}")
    try:
        network = getattr(code, function)(labels, image_size)
    except FAILURES as error:
        raise _of_users_code(f"module: {place}({labels}, {image_size})", error) from error
    if not isinstance(network, nn.Module):
        raise InputError(f"module: {place} gives {type(network).__name__}; needed is a torch.nn.Module")
    return network


def _load(path: Path) -> ModuleType:
    """Run a file of networks/, as the module networks.<name>, so that checkpoints know its code."""
    name = ".".join(path.with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        found = sorted(str(file) for file in Path("networks").glob("**/*.py"))
        raise InputError(f"module: {path} is missing; networks/ has {', '.join(found) or 'no file of Python'}")
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    try:
        spec.loader.exec_module(code)
    except FAILURES as error:
        raise _of_users_code(f"module: {path}", error) from error
    return code


def line_of_user(error: BaseException) -> str:
    """Say where in a file of networks/ an error has come up, such as " in line 7 of networks/mine.py"."""
    places = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [(path, line) for path, line in places if Path("networks").resolve() in path.resolve().parents]
    return f" in line {own[-1][1]} of {own[-1][0].resolve().relative_to(Path.cwd())}" if own else ""


def _of_users_code(what: str, error: BaseException) -> InputError:
    """Name an error in a user's file, and its line there."""
    if isinstance(error, SyntaxError):
        return InputError(f"{what}: SyntaxError in line {error.lineno}: {error.msg}")
    return InputError(f"{what}: {type(error).__name__}{line_of_user(error)}: {error}")
