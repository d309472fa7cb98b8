"""What keeps a claim from being judged on a run, and what a run has chosen (method, section 7)."""

import math
from collections.abc import Sequence

from singlefilter.claims.claims import ROUNDING, Claim, Need
from singlefilter.claims.intervals import binomial
from singlefilter.claims.run import Run
from singlefilter.paper.networks import FIXED, differences_of_row
from singlefilter.paper.values import THRESHOLD
from singlefilter.pipeline.params import LayerName, Params, share_text

USABLE = 0.9  # of a layer's filters, which must be neither silent nor faded
ABOUT, NEEDS = "about ", "needs runs of "  # how the reasons of claims about other networks and of several runs begin


def differences(run: Run) -> list[str]:
    """Say what keeps most claims from being judged on a run: data, row of archs, epochs, samples, threshold."""
    need = Need(run.params.arch)
    if run.params.arch in FIXED:
        of_network = _network_reasons(need, run)
    else:
        of_network = [
            "no network of the paper's",
            *(() if run.params.chosen_arch.backbone.is_trained else ["untrained"]),
        ]
    return [*of_network, *unmet_conditions(need, run.params)]


def choices(run: Run) -> str:
    """Say what a run has chosen of what the paper leaves open (method, section 4)."""
    backbone, heads = run.params.chosen_arch.backbone, run.params.chosen_arch.heads
    epochs = run.params.epochs(heads.epochs)
    found = [f"heads on {heads.images} images for {epochs} epoch{'s' * (epochs != 1)}"]
    if backbone.fully_connected:
        activation = {"relu": "ReLU", "none": "no activation"}[backbone.activation]
        found.append(f"hidden layers of {', '.join(map(str, backbone.fully_connected))} with {activation}")
    several = len(FIXED.get(run.params.arch, {}).get("fully_connected_rates", ())) > 1
    if several and (decay := backbone.fully_connected_rates.decay):
        found.append(f"first decay of the fully connected layers at epoch {decay[0].first}")
    if run.params.precision != "float32":
        found.append(run.params.precision)
    return ", ".join(found)


def reasons_against_all(needs: Sequence[Need], runs: Sequence[Run]) -> list[str]:
    """All that keeps a claim from being judged on several runs: what they share once, the rest with its network."""
    of_runs = [reasons_against(need, run) for need, run in zip(needs, runs, strict=True)]
    shared = [reason for reason in of_runs[0] if all(reason in reasons for reasons in of_runs)]
    return shared + [
        f"{run.network}: {reason}"
        for run, reasons in zip(runs, of_runs, strict=True)
        for reason in reasons
        if reason not in shared
    ]


def reasons_against(need: Need, run: Run) -> list[str]:
    """All that keeps a claim from being judged on a run, in words."""
    return [*_network_reasons(need, run), *unmet_conditions(need, run.params)]


def missing_runs(claim: Claim) -> str:
    """Say which runs a claim about several needs."""
    return f"{NEEDS}{_networks(claim)}"


def disagreement(claim: Claim) -> str:
    """Say in what the runs that a claim about several needs do not agree, where there are runs of each network."""
    shared = ["data set", "epochs", "threshold", "images held out"]
    shared += ["images of the heads"] if concerns_heads(claim) else []
    return f"no runs of {_networks(claim)} agree in {', '.join(shared[:-1])} and {shared[-1]}"


def _networks(claim: Claim) -> str:
    *others, last = (need.network for need in claim.needs)
    return f"{', '.join(others)} and {last}"


def concerns_heads(claim: Claim) -> bool:
    """Whether a claim is about layers, and not about the success rate of whole networks alone."""
    return any(need.layers for need in claim.needs)


def layers_missing(need: Need, run: Run) -> list[int]:
    """The layers that a claim is about and the run does not examine."""
    examined = set(run.layers["layer"])
    return [layer for layer in need.layers if layer not in examined]


def _network_reasons(need: Need, run: Run) -> list[str]:
    if run.params.arch != need.arch:
        return [f"{ABOUT}{need.network}"]
    reasons = differences_of_row(need.arch, run.params.chosen_arch)
    if run.network != need.network:
        reasons.append(f"trained {'without' if need.output_bias else 'with'} output biases")
    reasons += [f"layer {layer} is not examined" for layer in layers_missing(need, run)]
    of_filters = need.layers if need.of_filters else ()
    return reasons + [text for layer in of_filters if (text := _too_many_unusable(run, layer))]


def unusable_filters(run: Run, layer: LayerName) -> float:
    """How many filters of a layer are silent or faded, mean over samples."""
    row = run.by_layer.get(layer, {})
    return row.get("silent_filters_mean", 0) + row.get("faded_filters_mean", 0)


def _too_many_unusable(run: Run, layer: int) -> str:
    """Say that too many filters of a layer are silent or faded for a claim about them."""
    unusable, filters = unusable_filters(run, layer), run.by_layer.get(layer, {}).get("filters", math.inf)
    if unusable <= (1 - USABLE) * filters + ROUNDING:
        return ""
    return f"layer {layer}: {unusable:g} of {filters:g} filters are silent or faded"


def is_degenerate(need: Need, control: Run) -> bool:
    """Whether an untrained network says nothing of a claim's layers.

    So it is where its heads decide no better than chance: then they are all as good as each other. And where a run
    could not be judged either, since too many of the filters that the claim is about are silent or faded.
    """
    unusable = need.of_filters and any(_too_many_unusable(control, layer) for layer in need.layers)
    return unusable or any(_is_at_chance(control, layer) for layer in need.layers)


def _is_at_chance(run: Run, layer: LayerName) -> bool:
    """Whether a layer's head may be no better than chance, on other images than those of the test set."""
    row = run.by_layer.get(layer, {})
    found = binomial(row.get("accuracy_mean", math.nan), row.get("test_images", math.nan))
    return not found.low > 1 / run.label_count


def unmet_conditions(need: Need, params: Params) -> list[str]:
    """What in data, epochs, samples and threshold is not as the claim needs it."""
    data, held_out, samples = params.chosen_dataset, params.validation.images, len(params.seeds)
    reasons = []
    if data.source != "cifar10":
        reasons.append(f"{params.dataset} instead of CIFAR-10")
    else:
        if not data.flip:
            reasons.append("no flips")
        if data.translation != 4:
            reasons.append(f"translation {data.translation} instead of 4")
    if params.epochs_scale != 1:
        name = "shortened run" if params.epochs_scale < 1 else "lengthened run"
        reasons.append(f"{name}: {share_text(params.epochs_scale)} the epochs")
    if samples < 2:
        reasons.append("1 sample")
    if params.threshold != THRESHOLD:
        reasons.append(f"threshold {params.threshold:g} instead of {THRESHOLD:g}")
    if params.features.pooled:
        reasons.append("heads on means over positions")
    if need.validation and held_out < need.validation:
        reasons.append(f"{held_out} training images held out, {need.validation} needed")
    if held_out and not need.validation:
        reasons.append(f"{held_out} training images held out")
    return reasons
