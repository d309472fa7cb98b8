"""The claims judged: what holds, what does not, and what a run cannot show (method, section 7)."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from singlefilter.claims.claims import CLAIMS, ROUNDING, Claim, Need, Rule
from singlefilter.claims.paper import FIXED, THRESHOLD, differences_of_row
from singlefilter.claims.run import UNKNOWN, Number, Run
from singlefilter.pipeline.params import Params

HOLDS, FAILS, NOT_COMPARABLE = VERDICTS = ("holds", "does not hold", "not comparable")
COLUMNS = (
    *("id", "claim", "paper", "measured", "low", "high", "interval_over", "beside", "tolerance", "verdict", "reason"),
    *("control", "control_holds", "null", "null_holds", "construction", "tells", "choices"),
)
NULL = "labels"  # that keeps all but what a filter responds to and what it votes for (method, section 5)
USABLE = 0.9  # of a layer's filters, which must be neither silent nor faded
# Whether a claim that holds tells something about learning.
BEYOND, FOR_NOTHING, NO_CONTROL = "yes", "no", "no control"
TEXT_WIDTH = 120  # columns of a terminal
KINDS = {"about ": "about other networks", "needs runs of ": "need several runs"}  # starts of reasons


def judge(run: Run, control: Run | None = None) -> pd.DataFrame:
    """Judge all claims on one run (method, section 7).

    Args:
        run: The run.
        control: The same network on the same data, untrained, with trained heads, if there is such a run.

    Returns:
        A row a claim, in the method's order: id, claim, paper (text); measured, low, high (95 % interval),
        interval_over (what it is about: samples, filters or test images), beside (what it is to be read with);
        tolerance (text), verdict (holds, does not hold, not comparable), reason (empty where it holds); control and
        null, the same number of the untrained network and of the null that permutes input labels, and whether the claim
        would hold of them; construction, why it holds whatever was learnt; tells, whether it would tell something about
        learning: yes; no, if construction, control or null give it for nothing; no control, if none of these is known
        to; choices, what the paper leaves open and this run has chosen. Numbers are NaN where there is none.
    """
    null = run.of_null(NULL)
    return _table([_judge_one(claim, run, control, null) for claim in CLAIMS])


def judge_across(runs: Sequence[Run], controls: Sequence[Run | None] = ()) -> pd.DataFrame:
    """Judge the claims that need several runs, each on runs of one data set, number of epochs and threshold.

    Args:
        runs: Any; where several sets of them would do, the one that is nearest to the paper's is taken.
        controls: Of each run the same network on the same data, untrained, if there is such a run; or none at all.

    Returns:
        As judge.
    """
    pairs = [*zip(runs, controls or [None] * len(runs), strict=True)]
    return _table([_judge_several(claim, pairs) for claim in CLAIMS if len(claim.needs) > 1])


def summarise_claims(table: pd.DataFrame) -> dict[str, int]:
    """Count the verdicts: holds, does_not_hold, not_comparable.

    Of those that hold, also hold_beyond_controls, which neither the control, the null nor construction gives for
    nothing, and hold_without_control.
    """
    held = table[table["verdict"] == HOLDS]
    return {verdict.replace(" ", "_"): int((table["verdict"] == verdict).sum()) for verdict in VERDICTS} | {
        "hold_beyond_controls": int((held["tells"] == BEYOND).sum()),
        "hold_without_control": int((held["tells"] == NO_CONTROL).sum()),
    }


def claims_text(table: pd.DataFrame) -> str:
    """Write the claims of which the run has a number for the terminal, 120 columns wide, and why others have none.

    Args:
        table: As judge gives it, or read from its file.
    """
    texts = ("reason", "construction", "tells", "choices", "paper")
    table = table.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))
    shown = table[table["measured"].notna()]
    rows = [("claim", "the paper", "measured [95 %]", "untrained", "verdict")] if len(shown) else []
    for row in shown.itertuples():
        measured = number_text(row.measured, row.low, row.high)
        rows.append((row.id, str(row.paper), measured, number_text(row.control), row.verdict))
    remarks = [*([""] if rows else []), *map(_remark, shown.itertuples())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for cells, remark in zip(rows, remarks, strict=True):
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        fits = len(start) + len(remark) <= TEXT_WIDTH
        lines += [(start + remark).rstrip()] if fits else [start.rstrip(), *_wrapped(f"  {remark}", indent="    ")]
    lines += _interval_lines(shown)
    counts = summarise_claims(table)
    lines.append(
        f"the paper's claims: {counts['holds']} hold ({counts['hold_beyond_controls']} of them beyond their controls, "
        f"{counts['hold_without_control']} without control), {counts['does_not_hold']} do not, "
        f"{counts['not_comparable']} cannot be compared"
    )
    lines += _not_comparable_lines(table.loc[table["verdict"] == NOT_COMPARABLE, "reason"])
    choices = next(filter(None, table["choices"]), "")
    lines += _wrapped(f"open choices: {choices}") if choices else []
    return "\n".join(lines)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, subsequent_indent=indent)


def _interval_lines(shown: pd.DataFrame) -> list[str]:
    """Say what the intervals are about, and of how many rows."""
    counts = shown.loc[shown["low"].notna(), "interval_over"].value_counts(sort=False)
    over = ", ".join(f"{population} ({count})" for population, count in counts.items())
    return _wrapped(f"95 % intervals over {over}: column interval_over of metrics/claims.csv") if over else []


def _remark(row: Any) -> str:
    """What is to be said of a row beside its verdict: why it does not hold, or that it tells nothing."""
    if row.verdict == FAILS:
        return row.reason
    if row.construction:
        return "by construction"
    free = [
        name for name, holds in (("untrained", row.control_holds), ("the null", row.null_holds)) if str(holds) == "True"
    ]
    return f"{' and '.join(free)} would do" if free else ""


def matching_runs(needs: Sequence[Need], runs: Sequence[Run]) -> list[Run]:
    """Choose a run for each need, all of one data set, number of epochs and threshold.

    Returns:
        The runs that are nearest to the paper's, in the order of the needs; empty where there are none.
    """
    candidates = []
    for conditions in dict.fromkeys(_shared_conditions(run) for run in runs):
        chosen = [_nearest(need, [run for run in runs if _shared_conditions(run) == conditions]) for need in needs]
        if None not in chosen:
            candidates.append(chosen)
    return min(candidates, key=lambda runs: (len(_all_reasons(needs, runs)), -runs[0].params.epochs_scale), default=[])


def differences(run: Run) -> list[str]:
    """Say in what a run differs from the paper's: data, row of archs, epochs, samples, threshold."""
    need = Need(run.params.arch)
    known = run.params.arch in FIXED
    return [*(_network_reasons(need, run) if known else []), *_conditions(need, run.params)]


def number_text(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """Write a number with its interval: "0.9412 [0.9388, 0.9436]", or "–"."""
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if pd.isna(low) or pd.isna(high) else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _judge_one(claim: Claim, run: Run, control: Run | None, null: Run) -> dict[str, object]:
    if len(claim.needs) > 1:
        return _row(claim, UNKNOWN, [*_conditions(claim.needs[0], run.params), _missing_runs(claim)])
    need = claim.needs[0]
    number = _measured(claim, [run])
    of_control = _of_controls(claim, [control])
    of_null = UNKNOWN if math.isnan(number.value) else _measured(claim, [null])
    about = choices(run) if run.params.arch == need.arch else ""
    return _row(claim, number, _reasons(need, run), of_control, of_null, about)


def _judge_several(claim: Claim, pairs: Sequence[tuple[Run, Run | None]]) -> dict[str, object]:
    found = matching_runs(claim.needs, [run for run, _ in pairs])
    if not found:
        return _row(claim, UNKNOWN, [_missing_runs(claim)])
    of_controls = _of_controls(claim, [control for run in found for other, control in pairs if other is run])
    about = "; ".join(f"{run.network}: {text}" for run in found if (text := choices(run)))
    return _row(claim, _measured(claim, found), _all_reasons(claim.needs, found), of_controls, choices=about)


def _of_controls(claim: Claim, controls: Sequence[Run | None]) -> Number:
    """The claim's number on untrained networks, if there are all that it needs."""
    known = [control for control in controls if control is not None]
    return _measured(claim, known) if len(known) == len(controls) else UNKNOWN


def _nearest(need: Need, runs: Sequence[Run]) -> Run | None:
    matching = [run for run in runs if run.network == need.network]
    return min(matching, key=lambda run: (len(_reasons(need, run)), -run.samples), default=None)


def _shared_conditions(run: Run) -> tuple[object, ...]:
    """What runs must share to be compared with each other."""
    params = run.params
    held_out = params.validation if params.validation.images else None
    return params.chosen_dataset, params.epochs_scale, params.threshold, held_out, params.chosen_arch.heads.images


def _measured(claim: Claim, runs: Sequence[Run]) -> Number:
    """The claim's number, or NaN where these runs cannot have it."""
    for need, run in zip(claim.needs, runs, strict=True):
        if run.params.arch != need.arch or _layers_missing(need, run):
            return UNKNOWN
    return claim.measure(*runs)


def _row(
    claim: Claim,
    number: Number,
    reasons: Sequence[str],
    control: Number = UNKNOWN,
    null: Number = UNKNOWN,
    choices: str = "",
) -> dict[str, object]:
    if not reasons and math.isnan(claim.rule.excess(number)):
        what = "interval" if claim.rule.by_interval and not math.isnan(number.value) else "such number"
        reasons = [f"the run gives no {what}"]
    if reasons:
        verdict, reason = NOT_COMPARABLE, "; ".join(reasons)
    elif claim.rule.allows(number):
        verdict, reason = HOLDS, ""
    else:
        verdict, reason = FAILS, _shortfall(claim.rule, number)
    would_hold = {
        name: None if math.isnan(claim.rule.excess(other)) else claim.rule.allows(other)
        for name, other in (("control", control), ("null", null))
    }
    free = bool(claim.construction) or True in would_hold.values()
    return {
        "id": claim.id,
        "claim": claim.claim,
        "paper": claim.paper,
        "measured": number.value,
        "low": number.low,
        "high": number.high,
        "interval_over": number.population,
        "beside": number.beside,
        "tolerance": claim.rule.text,
        "verdict": verdict,
        "reason": reason,
        "control": control.value,
        "control_holds": would_hold["control"],
        "null": null.value,
        "null_holds": would_hold["null"],
        "construction": claim.construction,
        "tells": FOR_NOTHING if free else NO_CONTROL if would_hold["control"] is None else BEYOND,
        "choices": choices,
    }


def _shortfall(rule: Rule, number: Number) -> str:
    """By how much a number is not what it must be, or which end of its interval."""
    if rule.by_interval:
        return f"its interval reaches {number.low if number.low <= rule.lowest else number.high:.2g}"
    excess = rule.excess(number)
    direction = "low" if number.value <= rule.lowest else "high"
    text = f"{excess:.2g} too {direction}" if excess > ROUNDING else f"at the bound, must be {rule.text}"
    return f"{text} ({number.where})" if number.where else text


def _table(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _not_comparable_lines(reasons: pd.Series) -> list[str]:
    """One line where the rows share a reason; else a line for each kind of reason."""
    if reasons.empty:
        return []
    parts = [reason.split("; ") for reason in reasons]
    shared = [part for part in parts[0] if all(part in others for others in parts)]
    kinds = reasons.map(_kind_of_reason).value_counts(sort=False)
    besides = [f"{kinds[kind]} {kind}" for kind in KINDS.values() if kind in kinds]
    if set(kinds.index) <= set(KINDS.values()):
        shared.insert(0, "no claim is about this network alone")
        besides = []
    if shared:
        lines = _wrapped(f"not comparable: {'; '.join(shared)}")
        return [*lines, *([f"  besides, {' and '.join(besides)}"] if besides else [])]
    return [
        textwrap.shorten(f"not comparable, {count}: {kind}", TEXT_WIDTH, placeholder=" …")
        for kind, count in kinds.items()
    ]


def choices(run: Run) -> str:
    """Say what a run has chosen of what the paper leaves open (method, section 4)."""
    backbone, heads = run.params.chosen_arch.backbone, run.params.chosen_arch.heads
    found = [f"heads on {heads.images} images for {run.params.epochs(heads.epochs)} epochs"]
    if backbone.fully_connected:
        activation = {"relu": "ReLU", "none": "no activation"}[backbone.activation]
        found.append(f"hidden layers of {', '.join(map(str, backbone.fully_connected))} with {activation}")
    several = len(FIXED.get(run.params.arch, {}).get("fully_connected_rates", ())) > 1
    if several and (decay := backbone.fully_connected_rates.decay):
        found.append(f"first decay of the fully connected layers at epoch {decay[0].first}")
    if run.params.precision != "float32":
        found.append(run.params.precision)
    return ", ".join(found)


def _kind_of_reason(reason: str) -> str:
    for start, kind in KINDS.items():
        if any(part.startswith(start) for part in reason.split("; ")):
            return kind
    return reason


def _all_reasons(needs: Sequence[Need], runs: Sequence[Run]) -> list[str]:
    reasons = [reason for need, run in zip(needs, runs, strict=True) for reason in _reasons(need, run)]
    return list(dict.fromkeys(reasons))


def _reasons(need: Need, run: Run) -> list[str]:
    """All that keeps a claim from being judged on a run, in words."""
    return [*_network_reasons(need, run), *_conditions(need, run.params)]


def _network_reasons(need: Need, run: Run) -> list[str]:
    if run.params.arch != need.arch:
        return [f"about {need.network}"]
    reasons = differences_of_row(need.arch, run.params.chosen_arch)
    if run.network != need.network:
        reasons.append(f"trained {'without' if need.output_bias else 'with'} output biases")
    reasons += [f"layer {layer} is not examined" for layer in _layers_missing(need, run)]
    of_filters = need.layers if need.of_filters else ()
    return reasons + [text for layer in of_filters if (text := _unusable_filters(run, layer))]


def _unusable_filters(run: Run, layer: int) -> str:
    """Say that too many filters of a layer are silent or faded for a claim about them."""
    row = run.by_layer.get(layer, {})
    unusable = row.get("silent_filters_mean", 0) + row.get("faded_filters_mean", 0)
    if unusable <= (1 - USABLE) * row.get("filters", math.inf) + ROUNDING:
        return ""
    return f"layer {layer}: {unusable:g} of {row['filters']:g} filters are silent or faded"


def _conditions(need: Need, params: Params) -> list[str]:
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
        reasons.append(f"{name}: {params.epochs_scale:g} of the epochs")
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


def _missing_runs(claim: Claim) -> str:
    names = [need.network for need in claim.needs]
    return f"needs runs of {', '.join(names[:-1])} and {names[-1]}"


def _layers_missing(need: Need, run: Run) -> list[int]:
    examined = set(run.layers["layer"])
    return [layer for layer in need.layers if layer not in examined]
