"""What keeps a claim from being judged, and what is told of a run beside the verdict."""

import math

import pytest

from singlefilter.claims.claims import CLAIMS
from singlefilter.claims.judge import HOLDS, NOT_COMPARABLE, judge, judge_across
from singlefilter.claims.reasons import differences
from tests.claims.tables import row, tables, with_biases


def test_open_choices_are_told_and_are_no_reason_against_a_run():
    run = tables(precision="bf16")
    row_of_archs = run.values["archs"]["vgg16"]
    row_of_archs["heads"] |= {"images": "plain", "epochs": 50}
    row_of_archs["backbone"] |= {"fully_connected": [4096, 4096], "activation": "none"}
    judged = row(judge(run.run()), "noise.vgg16.layer13")
    assert judged["verdict"] == HOLDS
    chosen = "heads on plain images for 50 epochs, hidden layers of 4096, 4096 with no activation, bf16"
    assert judged["choices"] == chosen
    diluted = tables("vgg14_l13_350")
    across = row(judge_across([tables("vgg14").run(), diluted.run()]), "dilute.trained.350.layer13")
    assert across["choices"] == "; ".join(
        f"{arch}: heads on augmented images for 200 epochs" for arch in ("vgg14", "vgg14_l13_350")
    )
    phases = [f"first decay of the fully connected layers at epoch {first}" for first in (10, 30)]
    run = tables("avgg16")
    assert phases[0] in row(judge(run.run()), "noise.avgg16")["choices"]
    rates = run.values["archs"]["avgg16"]["backbone"]["fully_connected_rates"]
    rates["decay"][0]["first"] = 30
    assert phases[1] in row(judge(run.run()), "noise.avgg16")["choices"]
    rates["decay"] = []
    assert "first decay" not in row(judge(run.run()), "noise.avgg16")["choices"]


def test_an_untrained_network_is_called_so_whatever_its_name():
    run = tables()
    row_of_archs = run.values["archs"]["mine"] = run.values["archs"].pop("vgg16")
    run.values["arch"] = "mine"
    assert differences(run.run()) == ["no network of the paper's"]
    for rates in ("convolutional_rates", "fully_connected_rates"):
        row_of_archs["backbone"][rates]["learning_rate"] = 0.0
    assert differences(run.run()) == ["no network of the paper's", "untrained"]


def test_the_heads_batches_are_fixed():
    run = tables()
    run.values["archs"]["vgg16"]["heads"]["batch_size"] = 50
    assert row(judge(run.run()), "noise.vgg16.layer13")["reason"] == "heads.batch_size 50 instead of 100"


@pytest.mark.parametrize("kind", ["silent_filters", "faded_filters"])
def test_a_layer_whose_filters_are_mostly_silent_or_faded_is_not_judged(kind):
    run = tables()
    run.layers[13][kind] = 500
    table = judge(run.run())
    needs = {claim.id: claim.needs for claim in CLAIMS if not claim.id.startswith(("sr.", "train."))}
    of_layer = [name for name in needs if any(need.arch == "vgg16" and 13 in need.layers for need in needs[name])]
    assert len(of_layer) > 20 and HOLDS not in set(table.set_index("id").loc[of_layer, "verdict"])
    assert row(table, "noise.vgg16.layer13")["reason"] == "layer 13: 500 of 512 filters are silent or faded"
    assert row(table, "noise.vgg16.layer10")["verdict"] == HOLDS
    for name in ("sr.layers.layer13", "sr.progress.vgg16", "sr.spread.vgg16"):  # which are not about filters
        assert row(table, name)["verdict"] == HOLDS
    run.layers[13][kind] = 51  # of 512: nine tenths are neither
    assert row(judge(run.run()), "noise.vgg16.layer13")["verdict"] == HOLDS


def test_exactly_nine_tenths_of_a_layers_filters_are_enough():
    run = tables()
    run.layers[13]["silent_filters"] = 51.2  # of 512, as a mean over samples may be
    assert row(judge(run.run()), "noise.vgg16.layer13")["verdict"] == HOLDS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "digits"}, "digits instead of CIFAR-10"),
        ({"dataset": "cifar100"}, "cifar100 instead of CIFAR-10"),
        ({"epochs_scale": 0.1}, "shortened run: 0.1 of the epochs"),
        ({"epochs_scale": 2}, "lengthened run: 2 times the epochs"),
        ({"seeds": [0]}, "1 sample"),
        ({"threshold": 0.4}, "threshold 0.4 instead of 0.3"),
        ({"validation": {"images": 10000, "seed": 0}}, "10000 training images held out"),
        ({"features": {"pooled": True, "streamed_layers": []}}, "heads on means over positions"),
        ({"epochs_scale": 0.5, "threshold": 0.6}, "shortened run: 0.5 of the epochs; threshold 0.6 instead of 0.3"),
    ],
)
def test_a_run_unlike_the_papers_shows_nothing_and_every_reason_is_given(changes, reason):
    run = tables(**{"seeds": changes.pop("seeds", (0, 1))}, **changes).run()
    table = judge(run)
    assert set(table["verdict"]) == {NOT_COMPARABLE}
    assert row(table, "noise.vgg16.layer13")["reason"] == reason
    assert row(table, "noise.vgg16.layer13")["measured"] == 1.5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"flip": False}, "no flips"), ({"translation": 2}, "translation 2 instead of 4")],
)
def test_another_augmentation_shows_nothing(changes, reason):
    run = tables()
    run.values["datasets"]["cifar10"] |= changes
    table = judge(run.run())
    assert set(table["verdict"]) == {NOT_COMPARABLE}
    assert row(table, "snr")["reason"] == reason


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("backbone", {"epochs": 100}),
        ("heads", {"learning_rate": 0.05}),
    ],
)
def test_a_row_of_archs_unlike_the_papers_shows_nothing(part, changes):
    run = tables()
    run.values["archs"]["vgg16"][part] |= changes
    table = judge(run.run())
    assert set(table["verdict"]) == {NOT_COMPARABLE}
    (key,) = changes
    assert row(table, "snr")["reason"].startswith(f"{part}.{key} {changes[key]} instead of ")


@pytest.mark.parametrize("change", [{"epochs": 0}, {"convolutional_rates": 0.0, "fully_connected_rates": 0.0}])
def test_an_untrained_network_is_called_that_whatever_keeps_it_so(change):
    run = tables()
    backbone = run.values["archs"]["vgg16"]["backbone"]
    for name, value in change.items():
        backbone[name] = value if name == "epochs" else backbone[name] | {"learning_rate": value}
    assert row(judge(run.run()), "snr")["reason"] == "untrained"
    backbone |= {"epochs": 200, "convolutional_rates": backbone["convolutional_rates"] | {"learning_rate": 0.028}}
    assert "untrained" not in row(judge(run.run()), "snr")["reason"]  # one group of weights learns


def test_a_run_with_output_biases_shows_only_what_becomes_of_them():
    table = judge(with_biases("vgg16").run())
    assert table[table["verdict"] != NOT_COMPARABLE]["id"].tolist() == ["bias.removed.vgg16"]
    assert row(table, "snr")["reason"] == "trained with output biases"
    without = judge(tables().run())
    assert row(without, "bias.removed.vgg16")["reason"] == "trained without output biases"


def test_a_layer_that_is_not_examined_shows_nothing_and_has_no_number():
    run = tables()
    run.values["archs"]["vgg16"]["examined_layers"] = [2, 7, 10, 13]
    for layer in (4, 8, 11):
        del run.layers[layer]
    table = judge(run.run())
    assert row(table, "noise.rises.layer8")["reason"] == "layer 8 is not examined"
    assert row(table, "sr.progress.vgg16")["reason"] == "layer 4 is not examined"
    assert math.isnan(row(table, "noise.falls.vgg16")["measured"])
    assert row(table, "noise.vgg16.layer2")["verdict"] == HOLDS


def test_a_small_validation_set_cannot_show_that_it_agrees():
    run = tables(validation={"images": 100, "seed": 0})
    run.validation = dict(run.accuracies)
    reason = "100 training images held out, 10000 needed"
    assert row(judge(run.run()), "validation.vgg16")["reason"] == reason
    assert row(judge(tables().run()), "validation.vgg16")["reason"] == "0 training images held out, 10000 needed"
