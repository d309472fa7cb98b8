"""What a file was made with, kept in it, so that a file of another run is noticed under any name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params

STEPS = ("images", "network", "features", "heads", "dilution", "tables")


def made_with(params: Params, seed: int | None, step: str) -> dict[str, Any]:
    """List the parameters that determine what a step of the chain makes: its own, and those of the steps before it.

    Args:
        params: The run's.
        seed: The sample's; None for what is made of no sample, or of all.
        step: One of STEPS.

    Returns:
        Name -> value, as JSON has them. A data set counts by its name: its images may be found anywhere.
    """
    dataset, arch = params.chosen_dataset, params.chosen_arch
    own = {
        "images": {"dataset": params.dataset, "image_size": dataset.image_size, "validation": params.validation},
        "network": {
            "seed": seed,
            "epochs_scale": params.epochs_scale,
            "precision": params.precision,
            "flip": dataset.flip,
            "translation": dataset.translation,
            "backbone": arch.backbone,
        },
        "features": {"heads.views": arch.heads.views},
        "heads": {"heads": arch.heads, "examined_layers": arch.examined_layers},
        "dilution": {"threshold": params.threshold, "dilution": params.dilution},
        "tables": {"seeds": params.seeds, "arch": params.arch},
    }
    values: dict[str, Any] = {}
    for name in STEPS[: STEPS.index(step) + 1]:
        for key, value in own[name].items():
            values |= _flat(key, json.loads(json.dumps(value, default=lambda row: row.model_dump())))
    return values


def require_same(found: Mapping[str, Any], expected: Mapping[str, Any], path: Path, made_by: str) -> None:
    """Refuse a file that was made with other values than are expected.

    Args:
        found: What the file says that it was made with.
        expected: What must be the same in it.
        path: The file.
        made_by: The stage that makes it, for the error's way out.

    Raises:
        InputError: Some value differs, or is not there.
    """
    for key, value in expected.items():
        if key not in found or found[key] != value:
            raise InputError(
                f"{path} is of another run: made with {key} {found.get(key, 'unknown')}, where {value} is expected. "
                f"Make it again, with all that it is made from: dvc repro {made_by}"
            )


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    return {name: leaf for inner, part in value.items() for name, leaf in _flat(f"{key}.{inner}", part).items()}
