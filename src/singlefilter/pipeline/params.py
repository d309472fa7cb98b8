"""params.yaml and catalog.yaml as frozen, validated values; an error names the key, the value and what is allowed."""

import difflib
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from singlefilter.pipeline.errors import InputError, UnusableFile
from singlefilter.pipeline.yaml_files import UnclearYaml, load_yaml

MOST_COUNT = 1_000_000  # of filters, epochs, images in a batch
POOLS = {"M": 2, "A4": 4}  # name in a convolution list -> window and stride, in pixels
MOST_BYTES = 100_000  # of a file; catalog.yaml has some 10,000
NAMED_LAYER = (
    r"(?=.*[A-Za-z_])\w+(\.\w+)*"  # of a module in a network; with a letter, lest a table takes it for a number
)
NETWORKS = ("convolutions", "torchvision", "module")  # what a backbone is; one of them
OF_CHAIN, OF_OTHERS = ("fully_connected", "activation", "output_bias"), ("weights", "normalisation")
TABLES = ("datasets", "archs")  # what catalog.yaml holds
MOST_MISTAKES = 20  # that are listed
MOST_CHARACTERS = 500  # of each

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

Rate = Annotated[float, Field(ge=0, le=1e38)]  # what float32 holds
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
CountOrNone = Annotated[int, Field(ge=0, le=MOST_COUNT)]


def _check_convolution(item: Any) -> int | str:
    if (type(item) is int and 1 <= item <= MOST_COUNT) or (type(item) is str and item in POOLS):
        return item
    raise ValueError(f"must be a number of filters, 1 to {MOST_COUNT:,}, or a pool: {', '.join(POOLS)}")


def _check_layer(item: Any) -> int | str:
    if (type(item) is int and 1 <= item <= MOST_COUNT) or (type(item) is str and re.fullmatch(NAMED_LAYER, item)):
        return item
    raise ValueError(
        "must be the number of a layer, from 1 on, or its name, such as layer3.1; python -m stages.list_layers lists "
        "both. A name without a letter, such as 0.1, is asked for by its number"
    )


def _check_weights(value: Any) -> "str | WeightsFile | None":
    if value is None or (type(value) is str and value) or isinstance(value, WeightsFile):
        return value
    if isinstance(value, dict):
        for key in WeightsFile.model_fields.keys() ^ value.keys():
            what = "is missing" if key not in value else "is no known key"
            raise ValueError(f"{key}: {what}; needed are file and sha256, of a state dict")
        if re.fullmatch("[0-9a-f]{64}", str(value["sha256"])):
            return WeightsFile(**value)
        raise ValueError(
            f"sha256: is {str(value['sha256'])!r}; must have 64 digits of 0-9 and a-f; sha256sum {value['file']} "
            "gives it"
        )
    raise ValueError(
        "must be random, the name of torchvision's weights, such as IMAGENET1K_V1, or {file: …, sha256: …} of a "
        "state dict"
    )


Convolution = Annotated[Any, PlainValidator(_check_convolution)]
LayerName = int | str  # its number in the network, counted from 1, or its name
ExaminedLayer = Annotated[Any, PlainValidator(_check_layer)]


def layer_key(layer: LayerName) -> int:
    """Give what a layer's draws are seeded with: its number, or a checksum of its name."""
    return layer if isinstance(layer, int) else zlib.crc32(layer.encode())


def layer_text(layer: LayerName) -> str:
    """Name a layer in a sentence: "layer 13", or its own name."""
    return layer if isinstance(layer, str) else f"layer {layer}"


def run_heading(arch: str, dataset: str, samples: int, epochs_scale: float) -> str:
    """What a run is, for titles: "vgg16 on digits, 1 sample, 0.05 of the full epochs"."""
    epochs = "the full epochs" if epochs_scale == 1 else f"{epochs_scale:g} of the full epochs"
    count = "1 sample" if samples == 1 else f"{samples} samples"
    return f"{arch} on {dataset}, {count}, {epochs}"


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Decay(_Values):
    """From epoch `first` on, every `every` epochs, the rate is multiplied by `factor`."""

    first: Count
    every: Count
    factor: Annotated[float, Field(gt=0, le=1)]


class Rates(_Values):
    """SGD with Nesterov momentum for one group of weights, and its schedule over the paper's epochs (SI)."""

    learning_rate: Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.975
    weight_decay: Rate = 0.0015
    decay: tuple[Decay, ...] = ()

    @model_validator(mode="after")
    def _decay_in_order(self) -> "Rates":
        firsts = [row.first for row in self.decay]
        if firsts != sorted(set(firsts)):
            raise ValueError(f"decay: the rows' first epochs must rise; they are {firsts}")
        return self

    def at(self, epoch: int) -> float:
        """The learning rate at an epoch of the paper's full schedule, counted from 0 (SI, Hyper-parameters)."""
        ends = [*(row.first for row in self.decay), math.inf][1:]
        rate = self.learning_rate
        for row, end in zip(self.decay, ends, strict=True):
            last = min(epoch, end - 1)
            if last >= row.first:
                rate *= row.factor ** ((last - row.first) // row.every + 1)
        return rate


class WeightsFile(_Values):
    """A state dict that torch.save has written, and its SHA-256 in hex."""

    file: str
    sha256: str


class Backbone(_Values):
    """A network and how it is trained (SI, Hyper-parameters).

    The network is a chain of convolutions, one of torchvision's, or what a function in networks/ gives.
    """

    convolutions: Annotated[tuple[Convolution, ...], Field(min_length=1)] | None = None
    torchvision: Annotated[str, Field(min_length=1)] | None = None
    module: Annotated[str, Field(pattern=r"^networks/(\w[\w-]*/)*\w[\w-]*\.py:[A-Za-z_]\w*$")] | None = None
    weights: Annotated[Any, PlainValidator(_check_weights)] = None
    normalisation: Literal["symmetric", "imagenet"] | None = None
    fully_connected: tuple[Count, ...] = ()
    activation: Literal["relu", "none"] = "relu"
    output_bias: bool = False
    epochs: CountOrNone = 200
    batch_size: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 100
    convolutional_rates: Rates
    fully_connected_rates: Annotated[Rates, Field(default_factory=lambda values: values["convolutional_rates"])]

    @property
    def is_chain(self) -> bool:
        """Whether the network is a chain of 3x3 convolutions, as the paper's are."""
        return self.convolutions is not None

    @model_validator(mode="after")
    def _is_one_network(self) -> "Backbone":
        given = [name for name in NETWORKS if getattr(self, name) is not None]
        if not given:
            raise ValueError(f"{NETWORKS[0]}: the row names no network; needed is one of {', '.join(NETWORKS)}")
        if len(given) > 1:
            raise ValueError(f"{given[1]}: does not go with {given[0]}; leave one of them out")
        for name in sorted(self.model_fields_set & {*(OF_OTHERS if self.is_chain else OF_CHAIN)}):
            raise ValueError(f"{name}: does not go with {given[0]}; leave it out")
        if self.is_chain and self.convolutions[0] in POOLS:
            raise ValueError(f"convolutions: begins with the pool {self.convolutions[0]}; it must begin with filters")
        return self

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        left_out = () if self.is_chain else OF_CHAIN
        return {name: value for name, value in dump(self).items() if value is not None and name not in left_out}


class Heads(Rates):
    """The linear layers trained on the outputs of each examined layer (SI, Training the fully connected layer)."""

    learning_rate: Rate = 0.1
    weight_decay: Rate = 1e-5
    decay: tuple[Decay, ...] = (Decay(first=20, every=20, factor=0.6),)
    epochs: CountOrNone = 200
    batch_size: Count = 100
    images: Literal["augmented", "plain"] = "augmented"


class Arch(_Values):
    """A row of archs."""

    backbone: Backbone
    examined_layers: Annotated[tuple[ExaminedLayer, ...], Field(min_length=1)]
    heads: Heads

    @model_validator(mode="after")
    def _has_the_layers(self) -> "Arch":
        examined = list(self.examined_layers)
        named = [layer for layer in examined if isinstance(layer, str)]
        if self.backbone.is_chain:
            layers = sum(item not in POOLS for item in self.backbone.convolutions)
            unknown = [layer for layer in examined if layer in named or layer > layers]
            if unknown:
                raise ValueError(f"examined_layers: the network has no layer {unknown[0]}; allowed are 1 to {layers}")
        elif named and len(named) < len(examined):
            raise ValueError(f"examined_layers: {examined} has names and numbers; give all by name, or all by number")
        if (named and len(set(named)) < len(named)) or (not named and examined != sorted(set(examined))):
            raise ValueError(f"examined_layers: {examined} must rise, without repeats")
        return self


class Dataset(_Values):
    """A row of datasets; the images of class_folders are in data/images/<name of the row>."""

    source: Literal["digits", "cifar10", "cifar100", "class_folders"]
    image_size: Annotated[int, Field(ge=4, le=1024)]
    flip: bool
    translation: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _fits_its_source(self) -> "Dataset":
        if self.source.startswith("cifar") and self.image_size != 32:
            raise ValueError(f"image_size: is {self.image_size}; the images of {self.source} have 32")
        if self.translation >= self.image_size:
            raise ValueError(f"translation: is {self.translation}; it must be below image_size, {self.image_size}")
        return self


class Validation(_Values):
    """Random training images that are held out and measured beside the test set (SI, Optimization)."""

    images: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class FeatureKinds(_Values):
    """Which features there are of the examined layers, and which of them are stored."""

    pooled: bool = False
    streamed_layers: tuple[ExaminedLayer, ...] = ()


class Dilution(_Values):
    """What is diluted after training, besides the last examined layer without retraining (Discussion)."""

    other_layers: tuple[ExaminedLayer, ...]
    retrain_heads: bool


class Figures(_Values):
    """How the figures look."""

    dpi: Annotated[int, Field(ge=50, le=1200)]
    font_size: Annotated[float, Field(ge=4, le=24)]
    colormap: Literal["viridis", "cividis", "plasma", "inferno", "magma", "gray"]


class Explorer(_Values):
    """The page of all filters."""

    images: Annotated[int, Field(ge=1, le=100)] = (
        9  # of each filter and label, with the largest and the smallest fields
    )


def _check_explorer(value: Any) -> Any:
    if value is False:
        return None
    if isinstance(value, dict | Explorer):
        return value
    raise ValueError("must be false, or hold images, such as explorer: {images: 9}")


class Params(_Values):
    """All of params.yaml and catalog.yaml."""

    dataset: str
    arch: str
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)]
    epochs_scale: Annotated[float, Field(ge=1e-6, le=10)]
    precision: Literal["bf16", "float32"]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    validation: Validation
    features: FeatureKinds = FeatureKinds()
    dilution: Dilution
    figures: Figures
    explorer: Annotated[Explorer | None, BeforeValidator(_check_explorer)] = Explorer()
    datasets: dict[str, Dataset]
    archs: dict[str, Arch]

    @model_validator(mode="after")
    def _names_its_rows(self) -> "Params":
        _check_row("dataset", self.dataset, self.datasets)
        if not re.fullmatch(r"\w[\w.-]*", self.dataset):
            raise ValueError(
                f"dataset: is {self.dataset!r}; it names a folder in data/images, by letters, digits, _, "
                "and, but for the first, . and -"
            )
        _check_row("arch", self.arch, self.archs)
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {list(self.seeds)} repeats a seed; each sample needs its own")
        examined = self.chosen_arch.examined_layers
        asked = {"dilution.other_layers": self.dilution.other_layers}
        asked |= {"features.streamed_layers": self.features.streamed_layers}
        for key, layers in asked.items():
            unexamined = [layer for layer in layers if layer not in examined]
            if unexamined:
                raise ValueError(
                    f"{key}: {layer_text(unexamined[0])} is not examined; allowed are those of "
                    f"archs.{self.arch}.examined_layers, {[*examined]}, or none: []"
                )
        size = self.chosen_dataset.image_size
        for position, item in enumerate(self.chosen_arch.backbone.convolutions or ()):
            if item in POOLS and size < POOLS[item]:
                raise ValueError(
                    f"archs.{self.arch}.backbone.convolutions: the pool {item} at place {position + 1} needs "
                    f"{POOLS[item]} pixels a side, and {size} are left of the "
                    f"{self.chosen_dataset.image_size} of {self.dataset}; leave out a pool or enlarge image_size"
                )
            size //= POOLS.get(item, 1)
        return self

    @property
    def diluted_layers(self) -> list[LayerName]:
        """The layers that are diluted, in order: the last examined one, and the others that are asked for."""
        examined = self.chosen_arch.examined_layers
        return [layer for layer in examined if layer in {*self.dilution.other_layers, examined[-1]}]

    @property
    def unusual_features(self) -> dict[str, Any]:
        """What of `features` is not as it is by default: files that were made before there was a choice stay valid."""
        values = self.features.model_dump(mode="json")
        return {name: value for name, value in values.items() if value != FeatureKinds().model_dump(mode="json")[name]}

    @property
    def chosen_dataset(self) -> Dataset:
        """The row of datasets that `dataset` names."""
        return self.datasets[self.dataset]

    @property
    def chosen_arch(self) -> Arch:
        """The row of archs that `arch` names."""
        return self.archs[self.arch]

    def epochs(self, full: int) -> int:
        """The number of epochs of a run, from the paper's: scaled and rounded, and at least 1 unless it is 0."""
        return max(round(full * Fraction(str(self.epochs_scale))), 1) if full else 0

    def rate(self, rates: Rates, epoch: int) -> float:
        """The learning rate at epoch `epoch` of this run: the paper's of epoch ⌊epoch / epochs_scale⌋."""
        return rates.at(math.floor(epoch / Fraction(str(self.epochs_scale))))


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml, and catalog.yaml beside it.

    Raises:
        InputError: A file is missing, unreadable or not YAML, or a value is not allowed; it names each key, its value
            and what is allowed.
    """
    values, catalog = _read(path), _read(path.with_name("catalog.yaml"))
    if isinstance(values, dict) and isinstance(catalog, dict):
        for key in values.keys() & set(TABLES):
            raise InputError(f"{path}: {key}: belongs into catalog.yaml; move it there")
        for key in catalog.keys() - set(TABLES):
            raise InputError(f"{path.with_name('catalog.yaml')}: {key}: is no table; allowed are {', '.join(TABLES)}")
        values |= catalog
    return parse_params(values, path.parent)


def parse_params(values: Any, folder: Path = Path()) -> Params:
    """Check the values of params.yaml and catalog.yaml that are already read; raises InputError as load_params does."""
    name = folder / "params.yaml"
    try:
        # By way of JSON, where a list may stand for a tuple although every type is strict.
        return Params.model_validate_json(json.dumps(values, default=str, ensure_ascii=False).encode())
    except ValidationError as error:
        # A list whose items are refused counts as too short as well: its items' errors say enough.
        details = [detail for detail in error.errors() if not _is_consequence(detail)]
        lines = [_cut(f"{_file_of(detail, folder)}: {_explain(detail)}") for detail in details[:MOST_MISTAKES]]
        if len(details) > MOST_MISTAKES:
            lines.append(f"{name}: and {len(details) - MOST_MISTAKES:,} mistakes more")
        raise InputError("\n".join(lines)) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(_cut(f"{name} holds what no parameter can be: {error}")) from error


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


def _check_row(key: str, name: str, rows: dict[str, Any]) -> None:
    if name not in rows:
        raise ValueError(f"{key}: {name!r} is not a row of {key}s; {near(name, rows)}allowed are {', '.join(rows)}")


def near(name: str, allowed: Iterable[str]) -> str:
    """Ask whether a name that is alike was meant, if there is one."""
    near = difflib.get_close_matches(name.lower(), allowed, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _explain(detail: ErrorDetails) -> str:
    """Say of one of pydantic's errors which key it is, its value, and what is allowed."""
    key = repr(".".join(str(part) for part in detail["loc"]))[1:-1]  # in one line, whatever is in a name
    allowed = ALLOWED.get(detail["type"], detail["msg"])
    allowed = allowed.removeprefix("Value error, ").replace("Input should be", "must be")
    if detail["type"] == "missing":
        return f"{key}: is missing; write it there, or dvc exp run -S '{_file_of(detail, Path())}:+{key}=…'"
    if detail["type"] == "extra_forbidden":
        return f"{key}: is no known key; {_place_of(str(detail['loc'][-1]))}"
    if detail["type"] == "value_error" and isinstance(detail["input"], dict):
        return f"{key}.{allowed}".lstrip(".")  # one of our own checks, which names the key within and its value
    return f"{key or 'the file'}: is {json.dumps(detail['input'], default=str)[:80]}; {allowed}"


def _place_of(name: str) -> str:
    """Say where a key belongs, or which key is meant."""
    models = (
        Params,
        Validation,
        FeatureKinds,
        Dilution,
        Figures,
        Explorer,
        Dataset,
        Arch,
        Backbone,
        WeightsFile,
        Rates,
        Heads,
        Decay,
    )
    owners = [model.__name__ for model in models if name in model.model_fields]
    if owners:
        return f"it belongs into {' or '.join(owners).lower()}"
    known = sorted({key for model in models for key in model.model_fields})
    return f"{near(name, known)}check its spelling and place"
