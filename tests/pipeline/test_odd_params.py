from typing import Any

import pytest
from hypothesis import given, settings

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params_files import load_params, parse_params
from tests.pipeline.odd_params import (
    ACCEPTED,
    REFUSED,
    TEXT,
    VALUES,
    check_usable,
    odd_texts,
    odd_values,
    outcome,
    write_files,
)

AT_ONCE = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize("name", REFUSED)
def test_odd_yaml_is_refused_in_short_lines(tmp_path, name):
    content, expected = REFUSED[name]
    refusal, _ = outcome(write_files(tmp_path, content))
    assert expected in refusal
    files = (str(tmp_path / "params.yaml"), str(tmp_path / "catalog.yaml"))
    assert all(line.startswith(files) and len(line) < 600 for line in refusal.split("\n"))
    assert refusal.count("\n") <= 20


@pytest.mark.parametrize("name", ACCEPTED)
def test_another_way_of_writing_means_the_same(tmp_path, name):
    assert load_params(write_files(tmp_path, ACCEPTED[name])) == parse_params(VALUES)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(InputError, match=r"params\.yaml cannot be read \(Is a directory\)"):
        load_params(tmp_path / "params.yaml")


@AT_ONCE
@given(odd_values())
def test_odd_values_are_refused_in_short_lines_or_usable(values: Any):
    try:
        params = parse_params(values)
    except InputError as error:
        assert all(
            line.startswith(("params.yaml", "catalog.yaml")) and len(line) < 600 for line in str(error).split("\n")
        )
    else:
        check_usable(params)


@AT_ONCE
@given(odd_texts())
def test_odd_text_is_refused_or_usable(tmp_path_factory, text: str):
    outcome(write_files(tmp_path_factory.getbasetemp(), text))


def test_the_undisturbed_text_is_valid(tmp_path):
    assert outcome(write_files(tmp_path, TEXT))[0] == "accepted"
