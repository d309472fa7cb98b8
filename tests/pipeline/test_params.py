import copy
import io
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import OF_OTHERS, Backbone, Decay, Heads, Params, Rates, layer_key, layer_text
from singlefilter.pipeline.params_files import load_params, parse_params
from singlefilter.pipeline.yaml_files import load_yaml

FILE = Path(__file__).resolve().parents[2] / "params.yaml"
# The tables of params.yaml with the choices that it starts with, whatever was chosen last.
CHOICES = {"dataset": "digits", "arch": "vgg16", "seeds": [0], "epochs_scale": 0.05}
CATALOG = FILE.with_name("catalog.yaml")
VALUES = load_yaml(FILE.read_text("utf-8")) | load_yaml(CATALOG.read_text("utf-8")) | CHOICES
PARAMS = load_params(FILE)

# The multiplier of the first learning rate, by the paper's epochs, first and last (method: SI, Hyper-parameters).
BY_06 = [
    (0, 19, 1),
    (20, 39, 0.6),
    (40, 59, 0.6**2),
    (60, 79, 0.6**3),
    (80, 99, 0.6**4),
    (100, 119, 0.6**5),
    (120, 139, 0.6**6),
    (140, 159, 0.6**7),
    (160, 179, 0.6**8),
    (180, 199, 0.6**9),
]
BY_065_UP_TO_140 = [
    (0, 19, 1),
    (20, 39, 0.65),
    (40, 59, 0.65**2),
    (60, 79, 0.65**3),
    (80, 99, 0.65**4),
    (100, 119, 0.65**5),
    (120, 139, 0.65**6),
    (140, 159, 0.65**7),
]
VGG6_CONVOLUTIONAL = BY_065_UP_TO_140 + [(160, 179, 0.65**7 * 0.55), (180, 199, 0.65**7 * 0.55**2)]
VGG6_FULLY_CONNECTED = BY_065_UP_TO_140 + [(160, 179, 0.65**7 * 0.5), (180, 199, 0.65**7 * 0.5**2)]
AVGG16_CONVOLUTIONAL = BY_065_UP_TO_140 + [
    (160, 179, 0.65**7 * 0.55),
    (180, 199, 0.65**7 * 0.55**2),
    (200, 219, 0.65**7 * 0.55**3),
    (220, 239, 0.65**7 * 0.55**4),
    (240, 259, 0.65**7 * 0.55**5),
    (260, 279, 0.65**7 * 0.55**6),
]
AVGG16_FULLY_CONNECTED = [
    (0, 9, 1),
    (10, 29, 0.65),
    (30, 49, 0.65**2),
    (50, 69, 0.65**3),
    (70, 89, 0.65**4),
    (90, 109, 0.65**5),
    (110, 129, 0.65**6),
    (130, 149, 0.65**7),
    (150, 169, 0.65**8),
    (170, 189, 0.65**8 * 0.55),
    (190, 209, 0.65**8 * 0.55**2),
    (210, 229, 0.65**8 * 0.55**3),
    (230, 249, 0.65**8 * 0.55**4),
    (250, 269, 0.65**8 * 0.55**5),
    (270, 279, 0.65**8 * 0.55**6),
]
# arch, group, first learning rate, its multipliers
SCHEDULES = [
    ("vgg16", "convolutional_rates", 0.028, BY_06),
    ("vgg16", "fully_connected_rates", 0.028, BY_06),
    ("vgg16", "heads", 0.1, BY_06),
    ("vgg6", "convolutional_rates", 0.0145, VGG6_CONVOLUTIONAL),
    ("vgg6", "fully_connected_rates", 0.002, VGG6_FULLY_CONNECTED),
    ("vgg6", "heads", 0.1, BY_06),
    ("avgg16", "convolutional_rates", 0.00721, AVGG16_CONVOLUTIONAL),
    ("avgg16", "fully_connected_rates", 0.0045, AVGG16_FULLY_CONNECTED),
    ("avgg16", "heads", 0.02, BY_06),
]

VGG16_LIST = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
VGG6_LIST = (64, "M", 128, "M", 256, "M", 512, "M", 512, "M")
AVGG16_LIST = (64, 64, 128, 128, 256, 256, 256, "A4", 512, 512, 512, 512, 512, 512, "M")


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(VALUES)


def put(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Give the values with that of one key, such as archs.vgg6.heads.epochs, replaced."""
    values = copy.deepcopy(values)
    *places, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
    place = values
    for part in places:
        place = place[part]
    place[last] = value
    return values


def message(values: Any) -> str:
    with pytest.raises(InputError) as raised:
        parse_params(values)
    return str(raised.value)


def group_of(params: Params, arch: str, group: str) -> Rates:
    row = params.archs[arch]
    return row.heads if group == "heads" else getattr(row.backbone, group)


def rates_of_run(values: dict[str, Any], scale: float, arch: str, group: str) -> list[float]:
    params = parse_params(put(values, "epochs_scale", scale))
    row = params.archs[arch]
    epochs = params.epochs(row.heads.epochs if group == "heads" else row.backbone.epochs)
    return [params.rate(group_of(params, arch, group), epoch) for epoch in range(epochs)]


# The schedules


@pytest.mark.parametrize("arch, group, first, multipliers", SCHEDULES)
def test_full_run_has_the_papers_rate_at_every_epoch(values, arch, group, first, multipliers):
    by_hand = [first * factor for begin, end, factor in multipliers for _ in range(begin, end + 1)]
    assert len(by_hand) == (280 if arch == "avgg16" and group != "heads" else 200)
    assert rates_of_run(values, 1, arch, group) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    "arch, group, first, multipliers",
    [
        ("vgg16", "convolutional_rates", 0.028, [0.6**power for power in range(10)]),
        ("vgg16", "fully_connected_rates", 0.028, [0.6**power for power in range(10)]),
        ("vgg16", "heads", 0.1, [0.6**power for power in range(10)]),
        (
            "vgg6",
            "convolutional_rates",
            0.0145,
            [0.65**power for power in range(8)] + [0.65**7 * 0.55, 0.65**7 * 0.55**2],
        ),
        (
            "vgg6",
            "fully_connected_rates",
            0.002,
            [0.65**power for power in range(8)] + [0.65**7 * 0.5, 0.65**7 * 0.5**2],
        ),
        ("vgg6", "heads", 0.1, [0.6**power for power in range(10)]),
        (
            "avgg16",
            "convolutional_rates",
            0.00721,
            [0.65**power for power in range(8)] + [0.65**7 * 0.55**power for power in (1, 2, 3, 4, 5, 6)],
        ),
        (  # the paper's epochs 0, 20, …, 260, each ten after a decay
            "avgg16",
            "fully_connected_rates",
            0.0045,
            [0.65**power for power in range(9)] + [0.65**8 * 0.55**power for power in (1, 2, 3, 4, 5)],
        ),
        ("avgg16", "heads", 0.02, [0.6**power for power in range(10)]),
    ],
)
def test_run_of_a_twentieth_has_every_twentieth_rate(values, arch, group, first, multipliers):
    by_hand = [first * factor for factor in multipliers]
    assert len(by_hand) == (14 if arch == "avgg16" and group != "heads" else 10)
    assert rates_of_run(values, 0.05, arch, group) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    "scale, of_200, of_280, numerator, denominator",
    [(0.1, 20, 28, 10, 1), (0.3, 60, 84, 10, 3), (0.07, 14, 20, 100, 7), (0.05, 10, 14, 20, 1), (1, 200, 280, 1, 1)],
)
def test_epoch_of_a_shortened_run_is_divided_by_the_scale_without_rounding_errors(
    values, scale, of_200, of_280, numerator, denominator
):
    params = parse_params(put(values, "epochs_scale", scale))
    assert (params.epochs(200), params.epochs(280)) == (of_200, of_280)
    halving = Rates(learning_rate=1, momentum=0, weight_decay=0, decay=(Decay(first=1, every=1, factor=0.5),))
    for epoch in range(of_280):  # the rate at the paper's epoch e is 2^-e, so it says which epoch was taken
        assert params.rate(halving, epoch) == 2.0 ** -(numerator * epoch // denominator)


def test_shortest_run_has_one_epoch_and_none_stays_none(values):
    params = parse_params(put(values, "epochs_scale", 0.0001))
    assert params.epochs(200) == 1
    assert params.epochs(0) == 0


def test_rate_without_decay_stays():
    assert Rates(learning_rate=0.5, momentum=0, weight_decay=0, decay=()).at(1000) == 0.5


# The rows of params.yaml


def test_chosen_rows_are_those_named(values):
    params = parse_params({**values, "dataset": "cifar10", "arch": "vgg6"})
    assert params.chosen_dataset is params.datasets["cifar10"]
    assert params.chosen_arch is params.archs["vgg6"]


@pytest.mark.parametrize("dataset, flip", [("digits", False), ("cifar10", True), ("cifar100", True)])
def test_data_sets_are_translated_by_4_and_digits_never_flipped(dataset, flip):
    row = PARAMS.datasets[dataset]
    assert (row.source, row.image_size, row.flip, row.translation) == (dataset, 32, flip, 4)


@pytest.mark.parametrize(
    "arch, convolutions, fully_connected, epochs, examined",
    [
        ("vgg16", VGG16_LIST, (512, 512), 200, (2, 4, 7, 10, 13)),
        ("vgg6", VGG6_LIST, (), 200, (1, 2, 3, 4, 5)),
        ("avgg16", AVGG16_LIST, (512, 512), 280, (13,)),
    ],
)
def test_networks_of_the_paper(arch, convolutions, fully_connected, epochs, examined):
    row = PARAMS.archs[arch]
    assert row.backbone.convolutions == convolutions
    assert row.backbone.fully_connected == fully_connected
    assert (row.backbone.activation, row.backbone.output_bias) == ("relu", False)
    assert (row.backbone.epochs, row.backbone.batch_size) == (epochs, 100)
    assert row.examined_layers == examined


@pytest.mark.parametrize(
    "arch, group, learning_rate, momentum, weight_decay, decay",
    [
        ("vgg16", "convolutional_rates", 0.028, 0.975, 1.5e-3, [(20, 20, 0.6)]),
        ("vgg16", "fully_connected_rates", 0.028, 0.975, 1.5e-3, [(20, 20, 0.6)]),
        ("vgg16", "heads", 0.1, 0.975, 1e-5, [(20, 20, 0.6)]),
        ("vgg6", "convolutional_rates", 0.0145, 0.97, 1e-3, [(20, 20, 0.65), (160, 20, 0.55)]),
        ("vgg6", "fully_connected_rates", 0.002, 0.975, 1.2e-3, [(20, 20, 0.65), (160, 20, 0.5)]),
        ("vgg6", "heads", 0.1, 0.975, 1e-5, [(20, 20, 0.6)]),
        ("avgg16", "convolutional_rates", 0.00721, 0.98, 1.15e-3, [(20, 20, 0.65), (160, 20, 0.55)]),
        ("avgg16", "fully_connected_rates", 0.0045, 0.982, 1.35e-3, [(10, 20, 0.65), (170, 20, 0.55)]),
        ("avgg16", "heads", 0.02, 0.995, 1e-8, [(20, 20, 0.6)]),
    ],
)
def test_rates_of_the_paper(arch, group, learning_rate, momentum, weight_decay, decay):
    rates = group_of(PARAMS, arch, group)
    assert (rates.learning_rate, rates.momentum, rates.weight_decay) == (learning_rate, momentum, weight_decay)
    assert [(row.first, row.every, row.factor) for row in rates.decay] == decay


def test_heads_have_200_epochs_in_batches_of_100():
    assert {(row.heads.epochs, row.heads.batch_size) for row in PARAMS.archs.values()} == {(200, 100)}


def test_validation_images_and_plain_images_for_the_heads_may_be_asked_for(values):
    assert parse_params(values).chosen_arch.heads.images == "augmented"
    params = parse_params(put(put(values, "validation", {"images": 300, "seed": 7}), f"{HEADS}.images", "plain"))
    assert (params.validation.images, params.validation.seed, params.chosen_arch.heads.images) == (300, 7, "plain")


@pytest.mark.parametrize(
    "arch, parent, differences",
    [
        ("vgg14", "vgg16", {"backbone.fully_connected": [], "examined_layers": [13]}),
        ("vgg14_l13_350", "vgg14", {"backbone.convolutions.16": 350}),
        (
            "vgg16_l11to13_350",
            "vgg16",
            {
                "backbone.convolutions.14": 350,
                "backbone.convolutions.15": 350,
                "backbone.convolutions.16": 350,
                "examined_layers": [13],
            },
        ),
        (
            "vgg16_l11to13_120",
            "vgg16_l11to13_350",
            {
                "backbone.convolutions.14": 120,
                "backbone.convolutions.15": 120,
                "backbone.convolutions.16": 120,
            },
        ),
        ("avgg16_l13_100", "avgg16", {"backbone.convolutions.13": 100}),
        ("vgg16_fc4096", "vgg16", {"backbone.fully_connected": [4096, 4096], "backbone.activation": "none"}),
    ],
)
def test_variant_differs_from_its_parent_in_these_keys_alone(values, arch, parent, differences):
    row = values["archs"][parent]
    for key, value in differences.items():
        changed = put(row, key, value)
        assert changed != row
        row = changed
    assert values["archs"][arch] == row


def test_rows_are_these_and_written_out_whole(values):
    variants = "vgg14 vgg14_l13_350 vgg16_l11to13_350 vgg16_l11to13_120 avgg16_l13_100 vgg16_fc4096".split()
    papers, others = ["vgg16", "vgg6", "avgg16", *variants], ["vgg11", "resnet18", "efficientnet_b0", "vit_small"]
    assert list(values["archs"]) == [*papers, *others]
    for name in papers:
        row = values["archs"][name]
        assert row["backbone"].keys() == Backbone.model_fields.keys() - {*OF_OTHERS, "torchvision", "module"}
        assert row["heads"].keys() == Heads.model_fields.keys()


@pytest.mark.parametrize("arch", PARAMS.archs)
@pytest.mark.parametrize("dataset", PARAMS.datasets)
def test_every_network_can_be_chosen_with_every_data_set(values, arch, dataset):
    params = parse_params({**values, "arch": arch, "dataset": dataset})
    assert len(params.chosen_arch.examined_layers) >= 1


def test_what_a_row_does_not_have_is_not_written():
    """Keys that came later must not change what files of the paper's rows are made with."""
    chain, other = (PARAMS.archs[arch].backbone.model_dump(mode="json") for arch in ("vgg6", "resnet18"))
    rates = ["epochs", "batch_size", "convolutional_rates", "fully_connected_rates"]
    assert [*chain] == ["convolutions", "fully_connected", "activation", "output_bias", *rates]
    assert [*other] == ["torchvision", *rates]
    assert Backbone.model_validate_json(PARAMS.archs["resnet18"].backbone.model_dump_json()).torchvision == "resnet18"


def test_a_digest_that_is_none_is_refused(values):
    row = values["archs"]["resnet18"]["backbone"] | {"weights": {"file": "a.pt", "sha256": "12"}}
    values["archs"]["resnet18"]["backbone"] = row
    with pytest.raises(
        InputError, match=r"weights\.sha256: is '12'; must have 64 digits of 0-9 and a-f; sha256sum a\.pt"
    ):
        parse_params(values)


@pytest.mark.parametrize(("weights", "key"), [({"file": "a.pt"}, "sha256: is missing"), ({"fil": 1}, "is ")])
def test_weights_from_a_file_need_two_keys(weights, key, values):
    values["archs"]["resnet18"]["backbone"] |= {"weights": weights}
    with pytest.raises(InputError, match=rf"backbone\.weights\.\w+: {key.split(': ')[-1]}.*needed are file and sha256"):
        parse_params(values)


@pytest.mark.parametrize(
    "name", ["0.1", "1e5", "1.E5", "inf", "Infinity", "nan", "NaN", "NA", "null", "NULL", "None", "True", "FALSE"]
)
def test_a_layer_whose_name_tables_read_as_something_else_is_asked_for_by_its_number(name, values):
    assert not isinstance(pd.read_csv(io.StringIO(f"layer\n{name}\n"))["layer"][0], str)
    refusal = message(put(values, "archs.resnet18.examined_layers", [name]))
    assert f'is "{name}"; must be the number of a layer, from 1 on, or its name' in refusal
    assert refusal.endswith("such as 0.1, 1e5 or None, is asked for by its number")


@pytest.mark.parametrize("name", ["layer3.1", "1a", "e5", "1e5.conv", "nan.0", "info", "_", "0.conv"])
def test_a_layer_whose_name_tables_read_as_text_is_asked_for_by_name(name, values):
    assert pd.read_csv(io.StringIO(f"layer\n{name}\n"))["layer"][0] == name
    assert parse_params(put(values, "archs.resnet18.examined_layers", [name])).archs["resnet18"].examined_layers == (
        name,
    )


def test_a_layer_seeds_draws_by_its_number_or_name():
    assert layer_key(13) == 13
    assert layer_key("123456789") == 0xCBF43926  # CRC-32's published check value
    assert layer_text("layer3.1") == "layer3.1" and layer_text(2) == "layer 2"


def test_values_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        PARAMS.threshold = 0.4


# Refusals

RATES = "archs.vgg16.backbone.convolutional_rates"
DECAY = f"{RATES}.decay"
CONVOLUTIONS = "archs.vgg16.backbone.convolutions"
BACKBONE = "archs.vgg16.backbone"
LAYERS = "archs.vgg16.examined_layers"
HEADS = "archs.vgg16.heads"
WHOLE = "must be a valid integer"
NUMBER = "must be a valid number"
LIST = "must be a list in square brackets"
ROWS = "must hold rows of `name: value`"


@pytest.mark.parametrize(
    "key, value, expected",
    [
        # names of rows
        (
            "dataset",
            "CIFAR10",
            "'CIFAR10' is no row of datasets in catalog.yaml; did you mean cifar10? allowed are digits, cifar10",
        ),
        ("dataset", "faces", "'faces' is no row of datasets in catalog.yaml; allowed are digits, cifar10, cifar100"),
        ("dataset", 10, "is 10; must be text"),
        (
            "arch",
            "vgg61",
            "'vgg61' is no row of archs in catalog.yaml; did you mean vgg6? allowed are vgg16, vgg6, avgg16, vgg14",
        ),
        ("arch", None, "is null; must be text"),
        # seeds
        ("seeds", 0, f"is 0; {LIST}"),
        ("seeds", [], "is []; must have at least 1 item"),
        ("seeds", [1, 2, 1], "[1, 2, 1] repeats a seed; each sample needs its own"),
        ("seeds.0", -1, "is -1; must be greater than or equal to 0"),
        ("seeds.0", 0.5, f"is 0.5; {WHOLE}"),
        ("seeds.0", True, f"is true; {WHOLE}"),
        ("seeds.0", 2**32, "is 4294967296; must be less than 4294967296"),
        # numbers of the run
        ("epochs_scale", 0, "is 0; must be greater than or equal to 0.000001"),
        ("epochs_scale", 11, "is 11; must be less than or equal to 10"),
        ("epochs_scale", float("nan"), "is NaN; must be a finite number"),
        ("epochs_scale", float("inf"), "is Infinity; must be a finite number"),
        ("epochs_scale", "all", f'is "all"; {NUMBER}'),
        ("epochs_scale", True, f"is true; {NUMBER}"),
        ("precision", "fp16", "is \"fp16\"; must be 'bf16' or 'float32'"),
        ("threshold", 0, "is 0; must be above 0 and below 1"),
        ("threshold", 1, "is 1; must be above 0 and below 1"),
        ("threshold", -0.3, "is -0.3; must be above 0 and below 1"),
        ("threshold", 1.5, "is 1.5; must be above 0 and below 1"),
        ("threshold", 0.1 * 3, "is 0.30000000000000004; must have at most 6 decimals, as in the tables"),
        ("threshold", 1 - 1e-7, "is 0.9999999; must have at most 6 decimals, as in the tables"),
        ("threshold", "0.3", f'is "0.3"; {NUMBER}'),
        ("threshold", [0.3], f"is [0.3]; {NUMBER}"),
        ("threshold", {"low": 0.3}, f'is {{"low": 0.3}}; {NUMBER}'),
        ("threshold", float("nan"), "is NaN; must be a finite number"),
        # the validation set
        ("validation", 100, f"is 100; {ROWS}"),
        ("validation.images", -1, "is -1; must be greater than or equal to 0"),
        ("validation.images", 0.2, f"is 0.2; {WHOLE}"),
        ("validation.images", True, f"is true; {WHOLE}"),
        ("validation.images", "all", f'is "all"; {WHOLE}'),
        ("validation.images", None, f"is null; {WHOLE}"),
        ("validation.seed", -1, "is -1; must be greater than or equal to 0"),
        ("validation.seed", 2**32, "is 4294967296; must be less than 4294967296"),
        ("validation.seed", 0.5, f"is 0.5; {WHOLE}"),
        ("validation.sead", 0, "is no known key; did you mean seed? check its spelling and place"),
        # dilution
        ("dilution.other_layers", 7, f"is 7; {LIST}"),
        ("dilution.other_layers", [7, 8], "layer 8 is not examined; allowed are those of archs.vgg16.examined_layers"),
        ("dilution.retrain_heads", 1, "is 1; must be true or false"),
        # layers
        (LAYERS, [2, 14], "the network has no layer 14; allowed are 1 to 13"),
        (f"{LAYERS}.0", 0, "is 0; must be the number of a layer, from 1 on, or its name, such as layer3.1; python -m"),
        (f"{LAYERS}.0", "1.2", 'is "1.2"; must be the number of a layer, from 1 on, or its name, such as layer3.1'),
        (LAYERS, ["layer1"], "the network has no layer layer1; allowed are 1 to 13"),
        ("archs.resnet18.examined_layers", ["layer1", "layer1"], "['layer1', 'layer1'] must rise, without repeats"),
        ("archs.resnet18.examined_layers", [1, "layer1"], "[1, 'layer1'] has names and numbers; give all by name, or"),
        # other networks
        (CONVOLUTIONS, None, "the row names no network; needed is one of convolutions, torchvision, module"),
        (f"{BACKBONE}.torchvision", "vgg16", "does not go with convolutions; leave one of them out"),
        (f"{BACKBONE}.weights", "random", "weights: does not go with convolutions; leave it out"),
        ("archs.resnet18.backbone.activation", "relu", "activation: does not go with torchvision; leave it out"),
        ("archs.resnet18.backbone.weights", 3, "is 3; must be random, the name of torchvision's weights, such as IMAG"),
        ("archs.resnet18.backbone.normalisation", "none", "must be 'symmetric' or 'imagenet'"),
        ("archs.vit_small.backbone.module", "networks/../a.py:b", "must be networks/<file>.py:<function>"),
        ("archs.vit_small.backbone.module", "vit.py:make", 'is "vit.py:make"; must be networks/<file>.py:<function>'),
        (LAYERS, [], "is []; must have at least 1 item"),
        (LAYERS, [4, 2], "[4, 2] must rise, without repeats"),
        (LAYERS, [2, 2], "[2, 2] must rise, without repeats"),
        (LAYERS, 13, f"is 13; {LIST}"),
        # rates
        (f"{HEADS}.learning_rate", -0.1, "is -0.1; must be greater than or equal to 0"),
        (f"{RATES}.learning_rate", -0.1, "is -0.1; must be greater than or equal to 0"),
        (f"{RATES}.learning_rate", float("nan"), "is NaN; must be a finite number"),
        (f"{RATES}.learning_rate", float("-inf"), "is -Infinity; must be a finite number"),
        (f"{RATES}.learning_rate", "abc", f'is "abc"; {NUMBER}'),
        (f"{RATES}.weight_decay", -1e-3, "is -0.001; must be greater than or equal to 0"),
        (f"{RATES}.momentum", 1, "is 1; must be less than 1"),
        (f"{RATES}.momentum", -0.1, "is -0.1; must be greater than or equal to 0"),
        (RATES, [0.1], f"is [0.1]; {ROWS}"),
        (DECAY, {"first": 20}, f'is {{"first": 20}}; {LIST}'),
        (f"{DECAY}.0.every", 0, "is 0; must be greater than or equal to 1"),
        (f"{DECAY}.0.factor", 1.2, "is 1.2; must be less than or equal to 1"),
        (DECAY, [{"first": 20, "every": 20, "factor": 0.5}] * 2, "first epochs must rise; they are [20, 20]"),
        (f"{HEADS}.epochs", -1, "is -1; must be greater than or equal to 0"),
        (f"{HEADS}.epochs", 2.5, f"is 2.5; {WHOLE}"),
        (f"{HEADS}.batch_size", 0, "is 0; must be greater than or equal to 1"),
        (f"{HEADS}.images", "both", "is \"both\"; must be 'augmented' or 'plain'"),
        (f"{HEADS}.images", 0, "is 0; must be 'augmented' or 'plain'"),
        # the network
        (CONVOLUTIONS, [], "is []; must have at least 1 item"),
        (CONVOLUTIONS, ["M", *VGG16_LIST], "begins with the pool M; it must begin with filters"),
        (f"{CONVOLUTIONS}.1", "A2", 'is "A2"; must be a number of filters, 1 to 1,000,000, or a pool: M, A4'),
        (f"{CONVOLUTIONS}.1", 0, "is 0; must be a number of filters, 1 to 1,000,000, or a pool: M, A4"),
        (f"{CONVOLUTIONS}.1", True, "is true; must be a number of filters, 1 to 1,000,000, or a pool: M, A4"),
        (f"{CONVOLUTIONS}.1", [64], "is [64]; must be a number of filters, 1 to 1,000,000, or a pool: M, A4"),
        (CONVOLUTIONS, [*VGG16_LIST, "M"], "the pool M at place 19 needs 2 pixels per side, and 1 are left of the 32"),
        (
            CONVOLUTIONS,
            [64, "A4", *VGG16_LIST],
            "the pool M at place 16 needs 2 pixels per side, and 1 are left of the 32",
        ),
        ("archs.vgg16.backbone.fully_connected.0", 0, "is 0; must be greater than or equal to 1"),
        ("archs.vgg16.backbone.activation", "gelu", "is \"gelu\"; must be 'relu' or 'none'"),
        ("archs.vgg16.backbone.output_bias", "no", 'is "no"; must be true or false'),
        ("archs.vgg16.backbone.batch_size", 1, "is 1; must be greater than or equal to 2"),
        ("archs.vgg16.backbone.epochs", "200", f'is "200"; {WHOLE}'),
        ("archs.vgg6", None, f"is null; {ROWS}"),
        # data sets
        (
            "datasets.digits.source",
            "data/images/flowers",
            "is \"data/images/flowers\"; must be 'digits', 'cifar10', 'cifar100' or 'class_folders'",
        ),
        ("datasets.digits.image_size", 3, "is 3; must be greater than or equal to 4"),
        ("datasets.cifar10.image_size", 64, "is 64; the images of cifar10 have 32"),
        ("datasets.digits.flip", 1, "is 1; must be true or false"),
        ("datasets.digits.translation", -1, "is -1; must be greater than or equal to 0"),
        ("datasets.digits.translation", 32, "is 32; it must be below image_size, 32"),
        ("datasets", ["digits"], f'is ["digits"]; {ROWS}'),
        ("figures", [], f"is []; {ROWS}"),
        ("figures.colormap", "jet", "is \"jet\"; must be 'viridis', 'cividis', 'plasma', 'inferno', 'magma' or 'gray'"),
        # unknown keys
        ("treshold", 0.3, "is no known key; did you mean threshold?"),
        (f"{HEADS}.learning_rate", 1e39, "is 1e+39; must be less than or equal to "),
        (f"{HEADS}.learningrate", 0.1, "is no known key; did you mean learning_rate?"),
    ],
)
def test_refusal_names_the_key_the_value_and_what_is_allowed(values, key, value, expected):
    refusal = message(put(values, key, value))
    file = "catalog.yaml" if key.startswith(("archs", "datasets")) else "params.yaml"
    assert refusal.startswith(f"{file}: {key}: ")
    assert expected in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize(("others", "diluted"), [([], [13]), ([10, 2], [2, 10, 13]), ([13], [13])])
def test_the_last_examined_layer_is_always_diluted(others, diluted, values):
    assert parse_params(put(values, "dilution.other_layers", others)).diluted_layers == diluted


def test_pools_must_fit_the_chosen_data_set(values):
    values = put(values, "datasets.digits.image_size", 16)
    expected = f"{CONVOLUTIONS}: the pool M at place 18 needs 2 pixels per side, and 1 are left of the 16 of digits"
    assert expected in message(values)
    assert parse_params({**values, "dataset": "cifar10"}).chosen_dataset.image_size == 32


def test_missing_key_is_named(values):
    del values["archs"]["vgg6"]["heads"]
    assert message(values) == (
        "catalog.yaml: archs.vgg6.heads: is missing; write it there, or "
        "dvc exp run -S 'catalog.yaml:+archs.vgg6.heads={}'"
    )


@pytest.mark.parametrize("key", ["features", "explorer", "features.pooled", "features.streamed_layers"])
def test_what_dvc_looks_for_must_be_there_although_most_runs_need_it_not(key, values):
    *rows, last = key.split(".")
    del reduce(getitem, rows, values)[last]
    assert message(values) == (
        f"params.yaml: {key}: is missing; write it there, or dvc exp run -S 'params.yaml:+{key}=…'"
    )


def test_a_key_at_the_wrong_place_is_told_where_it_belongs(values):
    assert message({**values, "epochs": 10}) == (
        "params.yaml: epochs: is no known key; it belongs in backbone or heads"
    )


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("pooled", "features"),
        ("sha256", "weights"),
        ("momentum", "convolutional_rates or fully_connected_rates or heads"),
        ("flip", "a row of datasets"),
        ("examined_layers", "a row of archs"),
    ],
)
def test_a_place_is_named_as_the_files_have_it(key, place, values):
    assert message({**values, key: 1}) == f"params.yaml: {key}: is no known key; it belongs in {place}"


def test_numbers_of_numpy_are_numbers(values):
    given = {**values, "seeds": np.arange(2), "threshold": np.float64(0.25)}
    assert (parse_params(given).seeds, parse_params(given).threshold) == ((0, 1), 0.25)


def test_what_a_row_leaves_out_is_vgg16s(values):
    short = {
        "backbone": {"convolutions": [16, "M", 32, "M", 64, "M"], "convolutional_rates": {"learning_rate": 0.01}},
        "examined_layers": [1, 2, 3],
        "heads": {},
    }
    row = parse_params({**values, "arch": "mine", "archs": {"mine": short}}).chosen_arch
    vgg16 = PARAMS.archs["vgg16"]
    assert row.heads == vgg16.heads
    assert (row.backbone.epochs, row.backbone.batch_size) == (vgg16.backbone.epochs, vgg16.backbone.batch_size)
    rates, papers = row.backbone.convolutional_rates, vgg16.backbone.convolutional_rates
    assert row.backbone.fully_connected_rates == rates
    assert (rates.momentum, rates.weight_decay, rates.decay) == (papers.momentum, papers.weight_decay, ())
    assert (row.backbone.fully_connected, row.backbone.activation, row.backbone.output_bias) == ((), "relu", False)


def test_every_mistake_has_its_line(values):
    lines = message({**values, "seeds": [-1, "a"], "threshold": 2, "precision": 16}).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["seeds.0", "seeds.1", "precision", "threshold"]


@pytest.mark.parametrize("whole, shown", [(None, "null"), ([], "[]"), ("text", '"text"')])
def test_what_is_no_mapping_is_refused(whole, shown):
    assert message(whole) == f"params.yaml: the file: is {shown}; {ROWS}"


def test_own_folder_and_own_rows_are_accepted(values):
    values["datasets"]["flowers"] = {"source": "class_folders", "image_size": 48, "flip": True, "translation": 0}
    assert parse_params({**values, "dataset": "flowers"}).chosen_dataset.image_size == 48


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-rf", "two words", "", "flowers-v1.2", "x[1]"])
@pytest.mark.parametrize(("key", "row"), [("dataset", "digits"), ("arch", "vgg6")])
def test_a_row_is_called_as_a_folder_can_be_and_without_a_dot(values, name, key, row):
    """Even one that is not chosen: spread --arch would name a folder by it."""
    values[f"{key}s"][name] = values[f"{key}s"][row]
    refusals = {message(values), message({**values, key: name})}
    assert refusals == {
        f"catalog.yaml: {key}s.{name!r}: a row is named by letters, digits, _, and, but for the first, -; rename it"
    }
