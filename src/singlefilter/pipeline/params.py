"""The parameters of a run as frozen values, and what each may be."""

import difflib
import math
import re
import zlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_serializer,
    model_validator,
)

MOST_COUNT = 1_000_000  # of filters, epochs, images in a batch
DECIMALS = 6  # of a threshold: tables tell no others apart
POOLS = {"M": 2, "A4": 4}  # name in a convolution list -> window and stride, in pixels
# Of a module in a network; none that a table would take for a number, for true or false, or for nothing.
NAMED_LAYER = r"(?!(?i:[\d.]+(e\d+)?|inf|infinity|nan|na|null|none|true|false)$)\w+(\.\w+)*"
NETWORKS = ("convolutions", "torchvision", "module")  # what a backbone is; one of them
OF_CHAIN, OF_OTHERS = ("fully_connected", "activation", "output_bias"), ("weights", "normalisation")

Rate = Annotated[float, Field(ge=0, le=1e38)]  # what float32 holds
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST_COUNT)]


def _check_convolution(item: Any) -> int | str:
    if (type(item) is int and 1 <= item <= MOST_COUNT) or (type(item) is str and item in POOLS):
        return item
    raise ValueError(f"must be a number of filters, 1 to {MOST_COUNT:,}, or a pool: {', '.join(POOLS)}")


def _check_layer(item: Any) -> int | str:
    if (type(item) is int and 1 <= item <= MOST_COUNT) or (type(item) is str and re.fullmatch(NAMED_LAYER, item)):
        return item
    raise ValueError(
        "must be the number of a layer, from 1 on, or its name, such as layer3.1; python -m stages.list_layers lists "
        "both. What tables do not read as a name, such as 0.1, 1e5 or None, is asked for by its number"
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


def share_text(scale: float) -> str:
    """Say how many of something: "0.05 of", or "10 times" where it is more than all."""
    return f"{scale:g} of" if scale < 1 else f"{scale:g} times"


def scaled_epochs(full: int, epochs_scale: float) -> int:
    """The number of epochs of a run, from the paper's: scaled and rounded, and at least 1 unless it is 0."""
    return max(round(full * Fraction(str(epochs_scale))), 1) if full else 0


def run_heading(arch: str, dataset: str, samples: int, epochs_scale: float) -> str:
    """What a run is, for titles: "vgg16 on digits, 1 sample, 0.05 of the full epochs"."""
    epochs = "the full epochs" if epochs_scale == 1 else f"{share_text(epochs_scale)} the full epochs"
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
    epochs: CountOrZero = 200
    batch_size: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 100
    convolutional_rates: Rates
    fully_connected_rates: Annotated[Rates, Field(default_factory=lambda values: values["convolutional_rates"])]

    @property
    def is_chain(self) -> bool:
        """Whether the network is a chain of 3x3 convolutions, as the paper's are."""
        return self.convolutions is not None

    @property
    def is_trained(self) -> bool:
        """Whether its weights have been trained, here or before."""
        rates = self.convolutional_rates, self.fully_connected_rates
        trained_here = self.epochs > 0 and any(group.learning_rate > 0 for group in rates)
        return trained_here or self.weights not in (None, "random")

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
    epochs: CountOrZero = 200
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

    pooled: bool
    streamed_layers: tuple[ExaminedLayer, ...]


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

    images: Annotated[int, Field(ge=1, le=100)]  # of each filter and label, with the largest and the smallest fields


def _check_explorer(value: Any) -> Any:
    if value is False:
        return None
    if isinstance(value, dict | Explorer):
        return value
    raise ValueError("must be false, or hold images, such as explorer: {images: 9}")


def _check_threshold(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError("must be above 0 and below 1")
    if value != round(value, DECIMALS):
        raise ValueError(f"must have at most {DECIMALS} decimals, as in the tables")
    return value


class Params(_Values):
    """All of params.yaml and catalog.yaml."""

    dataset: str
    arch: str
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)]
    epochs_scale: Annotated[float, Field(ge=1e-6, le=10)]
    precision: Literal["bf16", "float32"]
    threshold: Annotated[float, AfterValidator(_check_threshold)]
    validation: Validation
    features: FeatureKinds
    dilution: Dilution
    figures: Figures
    explorer: Annotated[Explorer | None, BeforeValidator(_check_explorer)]
    datasets: dict[str, Dataset]
    archs: dict[str, Arch]

    @model_validator(mode="after")
    def _names_its_rows(self) -> "Params":
        _check_row("dataset", self.dataset, self.datasets)
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
                    f"{POOLS[item]} pixels per side, and {size} are left of the "
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
    def chosen_dataset(self) -> Dataset:
        """The row of datasets that `dataset` names."""
        return self.datasets[self.dataset]

    @property
    def chosen_arch(self) -> Arch:
        """The row of archs that `arch` names."""
        return self.archs[self.arch]

    @property
    def heading(self) -> str:
        """What the run is, for titles; see run_heading."""
        return run_heading(self.arch, self.dataset, len(self.seeds), self.epochs_scale)

    def epochs(self, full: int) -> int:
        """The number of epochs of this run, from the paper's; see scaled_epochs."""
        return scaled_epochs(full, self.epochs_scale)

    def rate(self, rates: Rates, epoch: int) -> float:
        """The learning rate at epoch `epoch` of this run: the paper's of epoch ⌊epoch / epochs_scale⌋."""
        return rates.at(math.floor(epoch / Fraction(str(self.epochs_scale))))


def _check_row(key: str, name: str, rows: dict[str, Any]) -> None:
    if name not in rows:
        raise ValueError(f"{key}: {no_row(name, f'{key}s', rows)}")
    for row in rows:  # folders are named by them, of spread's even by one that is not chosen; DVC splits keys at dots
        if not re.fullmatch(r"\w[\w-]*", row):
            raise ValueError(
                f"{key}s.{row!r}: a row is named by letters, digits, _, and, but for the first, -; rename it"
            )


def no_row(name: str, table: str, rows: Iterable[str]) -> str:
    """Say that a name is no row of a table of catalog.yaml, and which rows there are."""
    return f"{name!r} is no row of {table} in catalog.yaml; {near(name, rows)}allowed are {', '.join(rows)}"


def near(name: str, allowed: Iterable[str]) -> str:
    """Ask whether a name that is alike was meant, if there is one."""
    alike = difflib.get_close_matches(name.lower(), allowed, n=1)
    return f"did you mean {alike[0]}? " if alike else ""
