"""params.yaml and catalog.yaml as files: what is not one, and what is in the wrong one."""

import shutil
from pathlib import Path

import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params_files import load_params

FILE = Path(__file__).resolve().parents[2] / "params.yaml"
CATALOG = FILE.with_name("catalog.yaml")


def written(folder: Path, content: str | bytes) -> Path:
    """Write params.yaml, with the catalog beside it."""
    shutil.copy(CATALOG, folder)
    path = folder / "params.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        load_params(path)
    return str(raised.value)


def test_a_table_in_params_yaml_and_another_key_in_catalog_yaml_are_refused(tmp_path):
    path = written(tmp_path, FILE.read_text(encoding="utf-8") + "archs: {}\n")
    assert refusal_of(path) == f"{path}: archs: belongs in catalog.yaml; move it there"
    catalog = path.with_name("catalog.yaml")
    path = written(tmp_path, FILE.read_text(encoding="utf-8"))
    catalog.write_text(CATALOG.read_text(encoding="utf-8") + "arch: vgg6\n", encoding="utf-8")
    assert refusal_of(path) == f"{catalog}: arch: is no table; allowed are datasets, archs"
    catalog.unlink()
    assert refusal_of(path) == f"{catalog} is missing; run from the project's root"


def test_broken_yaml_is_refused_with_its_line(tmp_path):
    path = written(tmp_path, "dataset: digits\narch: vgg6\ndataset: cifar10\n")
    assert refusal_of(path) == f"{path} is not valid YAML: line 3: the key 'dataset' is there twice"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x00"])
def test_bytes_that_are_no_text_are_refused(tmp_path, content):
    path = written(tmp_path, content)
    assert refusal_of(path).startswith(f"{path} is not valid YAML: ")


def test_empty_file_is_refused(tmp_path):
    path = written(tmp_path, "")
    assert refusal_of(path) == f"{path}: the file: is null; must hold rows of `name: value`"


def test_file_that_may_not_be_read_is_named(tmp_path):
    assert refusal_of(tmp_path) == f"{tmp_path} cannot be read (Is a directory); let it be read"


def test_missing_file_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "params.yaml"
    assert refusal_of(path) == f"{path} is missing; run from the project's root"
