"""params.yaml and catalog.yaml read and checked; an error names the key, the value and what is allowed."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.params import (
    Arch,
    Backbone,
    Dataset,
    Decay,
    Dilution,
    Explorer,
    FeatureKinds,
    Figures,
    Heads,
    Params,
    Rates,
    Validation,
    WeightsFile,
    near,
)
from singlefilter.pipeline.yaml_files import UnclearYaml, load_yaml

TABLES = ("datasets", "archs")  # what catalog.yaml holds
MOST_BYTES = 100_000  # of a file; catalog.yaml has some 10,000
MOST_MISTAKES = 20  # that are listed
MOST_CHARACTERS = 500  # of each
MAY_BE_EMPTY = ("heads",)  # rows that may leave out all they hold, but must be there, since DVC looks for them

# Where keys may be -> the model that has them
PLACES = {
    "the file itself": Params,
    "validation": Validation,
    "features": FeatureKinds,
    "dilution": Dilution,
    "figures": Figures,
    "explorer": Explorer,
    "a row of datasets": Dataset,
    "a row of archs": Arch,
    "backbone": Backbone,
    "weights": WeightsFile,
    "convolutional_rates or fully_connected_rates": Rates,
    "heads": Heads,
    "decay": Decay,
}

# pydantic's type of error -> what is allowed, where its own message speaks of its types and not of YAML's
ALLOWED = {
    "bool_type": "must be true or false",
    "dict_type": "must hold rows of `name: value`",
    "model_type": "must hold rows of `name: value`",
    "string_pattern_mismatch": "must be networks/<file>.py:<function>",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must have at least 1 item",
    "tuple_type": "must be a list in square brackets",
}


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml, and catalog.yaml beside it.

    Raises:
        InputError: A file is missing, unreadable or not YAML, or a value is not allowed; it names each key, its value
            and what is allowed.
    """
    values, catalog = _read(path), _read(path.with_name("catalog.yaml"))
    if isinstance(values, dict) and isinstance(catalog, dict):
        for key in values.keys() & set(TABLES):
            raise InputError(f"{path}: {key}: belongs in catalog.yaml; move it there")
        for key in catalog.keys() - set(TABLES):
            raise InputError(f"{path.with_name('catalog.yaml')}: {key}: is no table; allowed are {', '.join(TABLES)}")
        values |= catalog
    return parse_params(values, path.parent)


def parse_params(values: Any, folder: Path = Path()) -> Params:
    """Check the values of params.yaml and catalog.yaml that are already read; raises InputError as load_params does."""
    name = folder / "params.yaml"
    try:
        # By way of JSON, where a list may stand for a tuple although every type is strict.
        return Params.model_validate_json(json.dumps(values, default=_plain, ensure_ascii=False).encode())
    except ValidationError as error:
        # A list whose items are refused counts as too short as well: its items' errors say enough.
        details = [detail for detail in error.errors() if not _is_consequence(detail)]
        lines = [_cut(f"{_file_of(detail, folder)}: {_explain(detail, folder)}") for detail in details[:MOST_MISTAKES]]
        if len(details) > MOST_MISTAKES:
            lines.append(f"{name}, catalog.yaml: and {len(details) - MOST_MISTAKES:,} mistakes more")
        raise InputError("\n".join(lines)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(_cut(f"{name} holds what no parameter can be: {error}")) from error


def _plain(value: Any) -> Any:
    """Give NumPy's numbers and arrays as Python's, and what JSON has not as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; run from the project's root") from error
    except OSError as error:
        raise InputError(f"{UnusableFile.of(path, error)}; let it be read") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES:,} bytes; shorten it")
    try:
        return load_yaml(content.decode())
    except (UnclearYaml, UnicodeDecodeError) as error:
        raise InputError(_cut(f"{path} is not valid YAML: {error}")) from error


def _is_consequence(detail: ErrorDetails) -> bool:
    """Tell an error that follows from another one of the list."""
    return detail["type"] == "default_factory_not_called" or (detail["type"] == "too_short" and bool(detail["input"]))


def _file_of(detail: ErrorDetails, folder: Path) -> Path:
    key = str(detail["loc"][0]) if detail["loc"] else str(detail["msg"]).removeprefix("Value error, ").split(".")[0]
    return folder / ("catalog.yaml" if key in TABLES else "params.yaml")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _explain(detail: ErrorDetails, folder: Path) -> str:
    """Say of one of pydantic's errors which key it is, its value, and what is allowed."""
    key = repr(".".join(str(part) for part in detail["loc"]))[1:-1]  # in one line, whatever is in a name
    allowed = ALLOWED.get(detail["type"], detail["msg"])
    allowed = allowed.removeprefix("Value error, ").replace("Input should be", "must be")
    if detail["type"] == "missing":
        value = "{}" if detail["loc"][-1] in MAY_BE_EMPTY else "…"
        by_dvc = f", or dvc exp run -S '{_file_of(detail, folder)}:+{key}={value}'" if folder == Path() else ""
        return f"{key}: is missing; write it there{by_dvc}"
    if detail["type"] == "extra_forbidden":
        return f"{key}: is no known key; {_place_of(str(detail['loc'][-1]))}"
    if detail["type"] == "value_error" and isinstance(detail["input"], dict):
        return f"{key}.{allowed}".lstrip(".")  # one of our own checks, which names the key within and its value
    return f"{key or 'the file'}: is {json.dumps(detail['input'], default=str)[:80]}; {allowed}"


def _place_of(name: str) -> str:
    """Say where a key belongs, or which key is meant."""
    places = [place for place, model in PLACES.items() if name in model.model_fields]
    if places:
        return f"it belongs in {' or '.join(places)}"
    known = sorted({key for model in PLACES.values() for key in model.model_fields})
    return f"{near(name, known)}check its spelling and place"
