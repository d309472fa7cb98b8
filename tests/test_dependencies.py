"""What dvc.yaml lists for each stage is what the stage's script is made of and reads."""

import ast
import re
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from singlefilter.pipeline.params import (
    Arch,
    Backbone,
    Dataset,
    Decay,
    Dilution,
    Figures,
    Heads,
    Params,
    Rates,
    Validation,
)

ROOT = Path(__file__).resolve().parents[1]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml") | YAML(typ="safe").load(ROOT / "catalog.yaml")
NO_STAGES = {
    "__init__",
    "record_run",
    "compare_experiments",
    "list_layers",
    "spread",
    "stages",  # what a script finds that was started by its path
}  # the others are commands, run by hand
SCRIPTS = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem not in NO_STAGES)


# Imported by all, and part of none: the first only puts this tree's library first, the second names what is in it,
# and silences a warning.
FORMALITIES = {"stages/__init__.py", "src/singlefilter/__init__.py"}
BUILD_NETWORKS = {
    "train_backbone",
    "extract_features",
    "train_heads",
    "filter_matrices",
    "filter_images",
    "dilute_filters",
}
ORDER = [  # a package imports only those of lower rows
    {"statistics", "figures", "dilution", "features", "spread", "explorer"},
    {"filters", "records", "backbone", "heads", "sources"},
    {"claims", "training", "data"},
    {"paper"},
    {"pipeline"},
]


def code_of(stage: str) -> list[str]:
    """The script of a stage, and the packages that it imports: directly or not, at the top or within functions."""
    found: set[Path] = set()
    waiting = [f"stages.{stage}"]
    while waiting:
        path = module_path(waiting.pop())
        if path and path not in found:
            found.add(path)
            waiting += imported_names(path)
    modules = {str(path.relative_to(ROOT)) for path in found} - FORMALITIES
    return sorted({package_of(module) for module in modules})


def package_of(module: str) -> str:
    """The folder of a module of the library; a script stands for itself."""
    return str(Path(module).parent) if module.startswith("src/") else module


def module_path(name: str) -> Path | None:
    places = [base.joinpath(*name.split(".")) for base in (ROOT, ROOT / "src")]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return next((file for file in files if file.exists()), None)


def imported_names(path: Path) -> list[str]:
    """All that could be a module in a file's import statements, packages around it included."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not followed here"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    names.append(".".join(path.relative_to(ROOT).parent.parts).removeprefix("src."))
    return [".".join(parts[:end]) for parts in (name.split(".") for name in names) for end in range(1, len(parts) + 1)]


def is_code(dep: str) -> bool:
    return dep.startswith(("src/", "stages/", "networks"))


def paths(entries: list[Any]) -> list[str]:
    """The paths in a list of outs, where one with options is a mapping."""
    return [path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)]


def params_of(stage: str, dataset: str, arch: str) -> list[str]:
    """The parameters that a stage depends on, of either file; a whole file is left out."""
    keys: list[str] = []
    for entry in STAGES[stage].get("params", []):
        keys += [entry] if isinstance(entry, str) else entry.get("catalog.yaml", [])
    return [key.replace("${dataset}", dataset).replace("${arch}", arch) for key in keys]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_packages_that_it_imports_and_no_other(stage):
    deps = STAGES[stage]["deps"]
    networks = ["networks"] if stage == "check_params" else []
    assert [dep for dep in deps if is_code(dep)] == [*networks, *code_of(stage)]
    assert ("data/module_code.txt" in deps) == (stage in BUILD_NETWORKS)
    assert deps == sorted(set(deps))


def test_the_walk_over_imports_finds_what_is_imported_within_functions():
    names = imported_names(ROOT / "src/singlefilter/sources/cifar.py")
    assert "torchvision.datasets" in names and "singlefilter.sources.class_folders" in names
    assert code_of("vega") == ["src/singlefilter/pipeline", "stages/vega.py"]


def test_packages_import_only_those_below():
    below = {name: set().union(*ORDER[row + 1 :], {name}) for row, names in enumerate(ORDER) for name in names}
    folders = {path.name for path in (ROOT / "src/singlefilter").iterdir() if (path / "__init__.py").exists()}
    assert folders == below.keys()
    for path in (ROOT / "src/singlefilter").glob("*/*.py"):
        imported = {name.split(".")[1] for name in imported_names(path) if name.startswith("singlefilter.")}
        assert imported <= below[path.parent.name], path


def test_the_packages_themselves_are_empty_and_the_face_imports_nothing():
    for path in (ROOT / "src/singlefilter").glob("*/__init__.py"):
        assert path.read_text(encoding="utf-8") == ""


def test_every_stage_runs_the_script_of_its_name_and_every_script_is_a_stage():
    assert sorted(STAGES) == SCRIPTS
    for name, stage in STAGES.items():
        seed = " --seed ${item.seed}" if "matrix" in stage else ""
        assert stage["cmd"] == f"python -m stages.{name}{seed}"
        assert stage.get("matrix", {"seed": "${seeds}"}) == {"seed": "${seeds}"}


def test_what_a_stage_reads_is_made_by_an_earlier_one():
    # The user's own, and the page that DVC reads from its own folder.
    made = {"catalog.yaml", "data/images/${dataset}", "metrics/controls", "metrics/reference", ".dvc/plots/page.html"}
    for name, stage in STAGES.items():
        for dep in stage["deps"]:
            whole_folder = any(out.startswith(f"{dep}/") for out in made)
            assert is_code(dep) or dep in made or whole_folder, f"{name} reads {dep}"
        made |= set(paths(stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", [])))


@pytest.mark.parametrize("arch", PARAMS["archs"])
def test_the_parameters_that_stages_depend_on_exist_for_every_row(arch):
    for dataset in PARAMS["datasets"]:
        for stage in STAGES:
            for key in params_of(stage, dataset, arch):
                assert reduce(getitem, key.split("."), PARAMS) is not None


def test_every_parameter_has_a_stage_that_depends_on_it():
    tracked = [key for stage in STAGES for key in params_of(stage, "digits", "vgg16")]
    assert {"params.yaml": None} in STAGES["check_params"]["params"]
    unused = [key for key in leaves(PARAMS) if not any(f"{key}.".startswith(f"{prefix}.") for prefix in tracked)]
    assert [key for key in unused if re.match(r"datasets\.digits|archs\.vgg16\.|(?!datasets|archs)", key)] == []


def test_no_tracked_mapping_has_a_key_that_the_run_cache_ignores():
    """DVC leaves keys named size and nfiles out of what its run-cache compares."""
    for model in (Params, Validation, Dilution, Figures, Dataset, Arch, Backbone, Rates, Heads, Decay):
        assert not {"size", "nfiles"} & model.model_fields.keys()


def leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of all values that are not mappings."""
    found = []
    for key, value in values.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return found
