"""The claims judged: what holds, what does not, and what a run cannot show (method, section 7)."""

import math
from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from singlefilter.claims.claims import CLAIMS, ROUNDING, Claim, Need, Rule
from singlefilter.claims.intervals import UNKNOWN, Number
from singlefilter.claims.reasons import (
    choices,
    concerns_heads,
    disagreement,
    is_degenerate,
    layers_missing,
    missing_runs,
    reasons_against,
    reasons_against_all,
    unmet_conditions,
)
from singlefilter.claims.run import Run
from singlefilter.pipeline.params import NETWORKS, OF_CHAIN

HOLDS, FAILS, NOT_COMPARABLE = VERDICTS = ("holds", "does not hold", "not comparable")
COLUMNS = (
    *("id", "claim", "paper", "measured", "low", "high", "interval_over", "beside", "tolerance", "verdict", "reason"),
    *("control", "control_holds", "null", "null_holds", "construction", "tells", "choices"),
)
NULL = "labels"  # that keeps all but what a filter responds to and what it votes for (method, section 5)
# Whether a claim that holds tells something about learning.
BEYOND, FOR_NOTHING, NO_CONTROL = "yes", "no", "no control"


def judge(run: Run, control: Run | None = None) -> pd.DataFrame:
    """Judge all claims on one run (method, section 7).

    Args:
        run: The run.
        control: The same network on the same data, untrained, with trained heads, if there is such a run. One of
            another network, data set or threshold counts as none, and so does one that is degenerate in the claim's
            layers.

    Returns:
        One row per claim, in the method's order: id, claim, paper (text); measured, low, high (95 % interval),
        interval_over (what it is about: samples, filters or test images), beside (what it is to be read with);
        tolerance (text), verdict (holds, does not hold, not comparable), reason (empty where it holds); control and
        null, the same number of the untrained network and of the null that permutes input labels, and whether the claim
        would hold of them; construction, why it holds whatever was learnt; tells, whether it would tell something about
        learning: yes; no, if construction, control or null give it for nothing; no control, if none of these is known
        to; empty where there is no number; choices, what the paper leaves open and this run has chosen. Numbers are NaN
        where there is none.
    """
    null, control = run.of_null(NULL), _control_of(run, control)
    return _table([_judge_one(claim, run, control, null) for claim in CLAIMS])


def judge_across(runs: Sequence[Run], controls: Sequence[Run | None] = ()) -> pd.DataFrame:
    """Judge the claims that need several runs, each on runs of one data set, number of epochs and threshold.

    Args:
        runs: Any; where several sets of them would do, the one that is nearest to the paper's is taken.
        controls: Of each run the same network on the same data, untrained, if there is such a run; or none at all.

    Returns:
        As judge.
    """
    pairs = [
        (run, _control_of(run, control)) for run, control in zip(runs, controls or [None] * len(runs), strict=True)
    ]
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


def matching_runs(claim: Claim, runs: Sequence[Run]) -> list[Run]:
    """Choose a run for each need of a claim, all of one data set, number of epochs, threshold and images held out.

    Runs of a claim about heads must agree in these heads' images as well.

    Returns:
        The runs that are nearest to the paper's, in the order of the needs; empty where there are none.
    """
    candidates = []
    for alike in _alike(runs, concerns_heads(claim)):
        chosen = [_nearest(need, alike) for need in claim.needs]
        if None not in chosen:
            candidates.append(chosen)

    def distance(runs: Sequence[Run]) -> tuple[float, ...]:
        return len(reasons_against_all(claim.needs, runs)), -runs[0].params.epochs_scale

    return min(candidates, key=distance, default=[])


def _judge_one(claim: Claim, run: Run, control: Run | None, null: Run) -> dict[str, object]:
    if len(claim.needs) > 1:
        return _row(claim, UNKNOWN, [*unmet_conditions(claim.needs[0], run.params), missing_runs(claim)])
    need = claim.needs[0]
    number = _measured(claim, [run])
    of_control = _of_controls(claim, [control])
    of_null = UNKNOWN if math.isnan(number.value) else _measured(claim, [null])
    about = choices(run) if run.params.arch == need.arch else ""
    return _row(claim, number, reasons_against(need, run), of_control, of_null, about)


def _judge_several(claim: Claim, pairs: Sequence[tuple[Run, Run | None]]) -> dict[str, object]:
    runs = [run for run, _ in pairs]
    found = matching_runs(claim, runs)
    if not found:
        complete = all(_nearest(need, runs) for need in claim.needs)
        return _row(claim, UNKNOWN, [disagreement(claim) if complete else missing_runs(claim)])
    of_controls = _of_controls(claim, [control for run in found for other, control in pairs if other is run])
    about = "; ".join(f"{run.network}: {text}" for run in found if (text := choices(run)))
    return _row(claim, _measured(claim, found), reasons_against_all(claim.needs, found), of_controls, chosen=about)


def _of_controls(claim: Claim, controls: Sequence[Run | None]) -> Number:
    """The claim's number on untrained networks, if there are all that it needs, of which none is degenerate."""
    known = [
        control
        for need, control in zip(claim.needs, controls, strict=True)
        if control is not None and not is_degenerate(need, control)
    ]
    return _measured(claim, known) if len(known) == len(controls) else UNKNOWN


def _control_of(run: Run, control: Run | None) -> Run | None:
    """The control, if it is one of this run: of the same network and data, and clipped at the same threshold."""
    return control if control is not None and _untrained(control) == _untrained(run) else None


def _untrained(run: Run) -> tuple[object, ...]:
    """What is the same in a run and its control; the training and the epochs of the heads are not."""
    params, backbone = run.params, run.params.chosen_arch.backbone
    network = [getattr(backbone, name) for name in (*NETWORKS, *OF_CHAIN)]
    return *network, params.dataset, params.chosen_dataset, params.threshold, params.features.pooled


def _nearest(need: Need, runs: Sequence[Run]) -> Run | None:
    matching = [run for run in runs if run.network == need.network]
    return min(matching, key=lambda run: (len(reasons_against(need, run)), -run.samples), default=None)


def _alike(runs: Sequence[Run], with_heads: bool) -> list[list[Run]]:
    """Group the runs that agree in all that runs must share to be compared with each other."""
    groups: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        params, data = run.params, run.params.chosen_dataset
        images = params.dataset if data.source == "class_folders" else data.source
        held_out = params.validation if params.validation.images else None
        heads = params.chosen_arch.heads.images if with_heads else None
        groups[images, data, params.epochs_scale, params.threshold, held_out, heads].append(run)
    return list(groups.values())


def _measured(claim: Claim, runs: Sequence[Run]) -> Number:
    """The claim's number, or NaN where these runs cannot have it."""
    for need, run in zip(claim.needs, runs, strict=True):
        if run.params.arch != need.arch or layers_missing(need, run):
            return UNKNOWN
    return claim.measure(*runs)


def _row(
    claim: Claim,
    number: Number,
    reasons: Sequence[str],
    control: Number = UNKNOWN,
    null: Number = UNKNOWN,
    chosen: str = "",
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
    would_hold = {name: _would_hold(claim.rule, other) for name, other in (("control", control), ("null", null))}
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
        "tells": "" if math.isnan(number.value) else _tells(claim, would_hold),
        "choices": chosen,
    }


def _would_hold(rule: Rule, number: Number) -> bool | None:
    """Whether a rule allows a number; None where that cannot be said.

    Of a rule by interval, a number without one cannot be allowed, but may be refused.
    """
    if not math.isnan(rule.excess(number)):
        return rule.allows(number)
    by_value = rule._replace(by_interval=False)
    return None if math.isnan(number.value) or by_value.allows(number) else False


def _tells(claim: Claim, would_hold: dict[str, bool | None]) -> str:
    """Whether a claim that holds tells something about learning, from what would hold without any."""
    if claim.construction or True in would_hold.values():
        return FOR_NOTHING
    return NO_CONTROL if would_hold["control"] is None else BEYOND


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
