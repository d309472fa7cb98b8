"""YAML as PyYAML reads it here, against DVC's own reader."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from singlefilter.pipeline.yaml_files import UnclearYaml, load_yaml


def as_dvc(text: str) -> object:
    return YAML(typ="safe").load(text)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        *(("1e-5", 1e-5), ("on", "on"), ("yes", "yes"), ("0o17", 15), ("0x1F", 31), (".5", 0.5), ("5.", 5.0)),
        *(("+5", 5), ("-0", 0), ("1e400", float("inf")), ("~", None), ("", None), ("TRUE", True), ("'012'", "012")),
        *(("data/images/17 flowers", "data/images/17 flowers"), ("101_Objects", "101_Objects")),
    ],
)
def test_scalars_are_those_of_yamls_core_schema(scalar, value):
    found = load_yaml(f"key: {scalar}\n")["key"]
    assert (type(found), found) == (type(value), value)
    assert as_dvc(f"key: {scalar}\n")["key"] == value


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        *((f"a: 1\nb: {scalar}\n", 2, "read as different values") for scalar in ("012", "08", "1_000", "0b11", "1:30")),
        ("a: 2020-01-01\n", 1, "read as different values"),
        ("a: {<<: {b: 1}}\n", 1, "merged keys"),
        ("a: 1\nb: >\n#: 1\n", 2, "texts after > are not read"),
        ("a: |\n  b\n", 1, r"texts after \| are not read"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directives"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is there twice"),
        ("a: &x [1]\nb: *x\n", 1, "anchors and aliases"),
        ("a: !!python/object/apply:os.getcwd []\n", 1, "tags are not read"),
        ("a: 1\n2: 3\n", 2, "a key must be a word"),
        ("[1]: 2\n", 1, "a key must be a word"),
        ("a: " + "[" * 900 + "]" * 900, 1, "nested too deep"),
        ("a: [x\nb: 1\n", 2, "expected ',' or ']'|in a list needs braces"),
        ("a: [b: 1]\n", 1, "in a list needs braces"),
        ("a:\n\tb\n", 2, "cannot start any token"),
        ("a: 1\n---\na: 2\n", 2, "but found another document"),
    ],
)
def test_what_readers_could_read_in_different_ways_is_refused_with_its_line(text, line, what):
    with pytest.raises(UnclearYaml, match=rf"^line {line}: .*({what})"):
        load_yaml(text)


def test_digests_are_text_to_both_readers_without_quotes():
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200)]
    text = "\n".join(f"k{number}: {digest}" for number, digest in enumerate(digests))
    assert [*load_yaml(text).values()] == [*as_dvc(text).values()] == digests


LETTERS = st.text("0123456789_.:+-eExXoObBfan <=~tr'\"{}[],#%&*!|>?\n", max_size=12)


@settings(max_examples=300, deadline=None)
@given(LETTERS)
def test_what_is_read_here_dvc_reads_alike(text):
    for whole in (f"key: {text}\n", f"{text}: 1\n", f"key: [{text}]\n"):
        try:
            found = load_yaml(whole)
        except UnclearYaml:
            continue
        assert repr(as_dvc(whole)) == repr(found)  # repr tells 1 from True, and NaN is not itself
