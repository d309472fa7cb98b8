"""What params.yaml and catalog.yaml may hold by mistake or malice: odd YAML, and odd values in any place."""

import copy
import time
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import MOST_BYTES, load_params
from singlefilter.pipeline.yaml_files import load_yaml

TEXT = """\
dataset: digits
arch: small
seeds: [0]
epochs_scale: 0.05
precision: float32
threshold: 0.3
validation: {images: 0, seed: 0}
features: {pooled: false, streamed_layers: []}
dilution: {other_layers: [], retrain_heads: false}
figures: {dpi: 150, font_size: 9, colormap: viridis}
explorer: {images: 9}
datasets:
  digits: {source: digits, image_size: 32, flip: false, translation: 4}
archs:
  small:
    backbone:
      convolutions: [64, M, 128, M]
      fully_connected: [512]
      activation: relu
      output_bias: false
      epochs: 200
      batch_size: 100
      convolutional_rates: {learning_rate: 0.02, momentum: 0.9, weight_decay: 1e-5, decay: []}
      fully_connected_rates:
        {learning_rate: 0.02, momentum: 0.9, weight_decay: 1e-5, decay: [{first: 20, every: 20, factor: 0.6}]}
    examined_layers: [1, 2]
    heads: {epochs: 200, batch_size: 100, images: plain, learning_rate: 0.1, momentum: 0.9, weight_decay: 0, decay: []}
"""
TABLES = "\ndatasets:"  # where catalog.yaml begins
VALUES = load_yaml(TEXT)


def write_files(folder: Path, content: str | bytes) -> Path:
    """Write a text as params.yaml, and from the tables on as catalog.yaml."""
    params, catalog = content, TABLES + TEXT.split(TABLES)[1]
    if isinstance(content, str) and TABLES in content:
        params, tables = content.split(TABLES, 1)
        catalog = TABLES + tables
    for name, part in (("params.yaml", params), ("catalog.yaml", catalog)):
        (folder / name).write_bytes(part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass"))
    return folder / "params.yaml"


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


# name -> content that is refused, and what the refusal says
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "an alias": (changed("seeds: [0]", "seeds: &s [*s]"), "line 3: anchors and aliases are not read"),
    "an alias of nothing": (changed("[0]", "*s"), "line 3: anchors and aliases are not read"),
    "a merged mapping": (changed("{images: 0, seed: 0}", "{<<: {images: 0}, seed: 0}"), "line 7: merged keys"),
    "on": (changed("flip: false", "flip: on"), 'datasets.digits.flip: is "on"; must be true or false'),
    "a number in quotes": (changed("1e-5", "'1e-5'"), 'weight_decay: is "1e-5"; must be a valid number'),
    "1:30": (changed("[0]", "[1:30]"), "line 3: '1:30' is read as different values"),
    "a date": (changed("[0]", "[2020-01-01]"), "line 3: '2020-01-01' is read as different values"),
    "no date": (changed("digits", "2020-13-45"), "line 1: '2020-13-45' is read as different values"),
    "a leading zero": (changed("[0]", "[012]"), "line 3: '012' is read as different values"),
    "2e2 epochs": (changed("epochs: 200", "epochs: 2e2"), "epochs: is 200.0; must be a valid integer"),
    "an infinity": (changed("0.05", "1e400"), "epochs_scale: is Infinity; must be a finite number"),
    "5,000 digits": (changed("[0]", f"[{'9' * 5000}]"), "not valid YAML: Exceeds the limit"),
    "5,000 digits of base 16": (changed("[0]", f"[0x{'f' * 5000}]"), "holds what no parameter can be: Exceeds"),
    "1e30 filters": (changed("[64,", f"[1{'0' * 30},"), "must be a number of filters, 1 to 1,000,000, or a pool"),
    "1e30 epochs": (changed("epochs: 200", f"epochs: 1{'0' * 30}"), "must be less than or equal to 1000000"),
    "a list 200 deep": (changed("[0]", "[" * 200 + "]" * 200), "line 3: lists are nested too deep"),
    "a mapping 900 deep": (changed("[0]", "{a: " * 900 + "}" * 900), "line 3: lists are nested too deep"),
    "10,000 bad seeds": (changed("[0]", f"[{', '.join(['-1'] * 10_000)}]"), "and 9,980 mistakes more"),
    "50,000 seeds": (changed("[0]", f"[{','.join(map(str, range(50_000)))}]"), f"more than {MOST_BYTES:,} bytes"),
    "a long comment": ("#" * 1_000_000 + TEXT, f"more than {MOST_BYTES:,} bytes"),
    "a long name": (changed("digits", "x" * 50_000), "params.yaml: dataset: 'xxx"),
    "a tag": (changed("0.3", "!!bool abc"), "line 6: tags are not read"),
    "an unknown tag": (changed("0.3", "!x 1"), "line 6: tags are not read"),
    "a list as a key": ("[1]: 2\n" + TEXT, "line 1: a key must be a word"),
    "a date as a key": ("2020-01-01: 2\n" + TEXT, "line 1: '2020-01-01' is read as different values"),
    "nothing as a key": ("~: 2\n" + TEXT, "line 1: a key must be a word"),
    "a key twice": (changed("seed: 0", "images: 1"), "line 7: the key 'images' is there twice"),
    "a tab": (changed("dataset: digits", "dataset:\n\tdigits"), "line 2: found character"),
    "no space": (changed("dataset: digits", "dataset:digits"), "line 2: "),
    "two documents": ("a: 1\n---\n" + TEXT, "but found another document"),
    "a directive": ("%YAML 2.0\n---\n" + TEXT, "line 1: directives are not read"),
    "a control character": (changed("digits", "'\x07'"), "special characters are not allowed"),
    "half a surrogate pair": (changed("digits", '"\\uD800"'), "holds what no parameter can be: 'utf-8' codec"),
    "no character": (changed("digits", '"\\UFFFFFFFF"'), "not valid YAML: "),
    "a line break in a name": (changed("digits", '"a\\nb"'), r"'a\nb' is no row of datasets in catalog.yaml"),
    "a line break in a key": ('"a\\nb": 1\n' + TEXT, r"a\nb: is no known key"),
    "Latin-1": (changed("digits", "größe").encode("latin-1"), "'utf-8' codec can't decode byte"),
    "UTF-16": (TEXT.encode("utf-16"), "'utf-8' codec can't decode byte"),
    "only a comment": ("# nothing\n", "the file: is null; must hold rows"),
    "a list": ("- dataset\n- arch\n", 'the file: is ["dataset", "arch"]; must hold rows'),
    "a number": ("3\n", "the file: is 3; must hold rows"),
    "a table in params.yaml": (b"archs: {}\n" + TEXT.split(TABLES)[0].encode(), "archs: belongs in catalog.yaml"),
}
# name -> content that says the same as TEXT in another way
ACCEPTED: dict[str, str | bytes] = {
    "a byte order mark": "\ufeff" + TEXT,
    "line ends of Windows": TEXT.replace("\n", "\r\n"),
    "the end marked": TEXT + "...\n",
    "a number of base 16": changed("dpi: 150", "dpi: 0x96"),
    "a power of ten without a dot": changed("0.3", "3e-1"),
}

ODD = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    st.sampled_from(
        [0, 1, -1, 2**31, 2**63, 10**400, 1e-320, 1e308, -0.0, "", "digits", "M", "a/\0", "\ud800", "a\nb"]
    ),
    st.recursive(
        st.integers() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    st.lists(st.integers(0, 2**33), max_size=50),
)


@st.composite
def odd_values(draw: st.DrawFn) -> Any:
    """The values of TEXT with up to three of them replaced, left out, or joined by another key."""
    values = copy.deepcopy(VALUES)
    for _ in range(draw(st.integers(1, 3))):
        place, key = draw(st.sampled_from(_places(values)))
        what = draw(st.sampled_from(["replace", "replace", "leave out", "add"]))
        if what == "replace":
            place[key] = draw(ODD)
        elif what == "leave out":
            del place[key]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=8) | st.sampled_from(["seeds", "epochs", "treshold"]))] = draw(ODD)
        else:
            place.append(draw(ODD))
    return values


@st.composite
def odd_texts(draw: st.DrawFn) -> str:
    """TEXT with a stretch of it replaced by characters that mean something in YAML."""
    begin = draw(st.integers(0, len(TEXT)))
    end = draw(st.integers(begin, min(begin + 30, len(TEXT))))
    letters = st.text("&*!|>%@`{}[]#?:-,'\"\\~<=. \n\t\r0123456789abex_é\u2028\ufeff", max_size=12)
    return TEXT[:begin] + draw(letters) + TEXT[end:]


def outcome(path: Path) -> tuple[str, float]:
    """Load a file: "accepted" or the refusal's text, and the seconds that it took."""
    began = time.perf_counter()
    try:
        params = load_params(path)
    except InputError as error:
        return str(error), time.perf_counter() - began
    seconds = time.perf_counter() - began
    check_usable(params)
    return "accepted", seconds


def check_usable(params: Params) -> None:
    """All that is worked out from valid parameters can be worked out."""
    backbone, heads = params.chosen_arch.backbone, params.chosen_arch.heads
    for rates, epochs in (
        (backbone.convolutional_rates, backbone.epochs),
        (backbone.fully_connected_rates, backbone.epochs),
        (heads, heads.epochs),
    ):
        assert params.rate(rates, 0) >= 0 and params.rate(rates, params.epochs(epochs)) >= 0
    assert set(params.diluted_layers) <= set(params.chosen_arch.examined_layers)
    assert params.chosen_dataset.image_size <= 1024


def as_yaml(values: Any) -> str:
    """Write values so that write_files finds the tables; what YAML cannot hold stays as PyYAML writes it."""
    if not isinstance(values, dict):
        return yaml.safe_dump(values)
    tables = {key: value for key, value in values.items() if key in ("datasets", "archs")}
    rest = {key: value for key, value in values.items() if key not in tables}
    return "".join(yaml.safe_dump(part, sort_keys=False) for part in (rest, tables) if part)


def _places(values: Any) -> list[tuple[Any, Any]]:
    """Every place in nested mappings and lists: the one that holds it, and its key there."""
    found = []
    items = values.items() if isinstance(values, dict) else enumerate(values)
    for key, value in items:
        found.append((values, key))
        if isinstance(value, dict | list):
            found += _places(value)
    return found
