"""Recorded runs beside the paper, as a table and as text."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from singlefilter.claims import measures
from singlefilter.claims.claims import CLAIMS
from singlefilter.claims.judge import NOT_COMPARABLE, judge, judge_across, matching_runs, summarise_claims
from singlefilter.claims.measures import accuracy_difference, network_accuracy
from singlefilter.claims.reasons import ABOUT, NEEDS, choices, differences, unusable_filters
from singlefilter.claims.run import Run
from singlefilter.claims.text import number_text
from singlefilter.paper.values import LAYERS, SAMPLES, paper_text, paper_value

COLUMNS = [
    *("record", "network", "dataset", "samples", "epochs_scale", "layer", "statistic"),
    *("paper", "mean", "std", "low", "high", "interval_over"),
]
STATISTICS = ("accuracy", "noise", "clusters", "cluster_size", "snr_counted")  # of each examined layer

Runs = Mapping[str, Run]  # by the names of their records


def comparison_table(runs: Runs) -> pd.DataFrame:
    """List the runs' numbers beside the paper's.

    Args:
        runs: By the names of their records.

    Returns:
        One row per number: record, network, dataset, samples, epochs_scale, layer (missing: the whole network),
        statistic (as in layers.csv), paper (NaN where it gives nothing, and for other data than CIFAR-10), and mean,
        standard deviation over samples and 95 % interval, and what the interval is about: samples, filters or test
        images.
    """
    rows = [row for name, run in runs.items() for row in _rows(name, run)]
    layers = pd.Series([row["layer"] for row in rows], dtype=object)  # numbers, names, and none
    return pd.DataFrame(rows, columns=COLUMNS).astype({"paper": float}).assign(layer=layers)


def comparison_text(runs: Runs, controls: Runs) -> str:
    """Write the comparison in Markdown: networks, layers, networks trained with fewer filters, and claims.

    Args:
        runs: By the names of their records.
        controls: The untrained networks of those runs that have one, by the same names.
    """
    across = judge_across(list(runs.values()), [controls.get(name) for name in runs])
    parts = [
        ("Whole networks and their last examined layers; mean ± standard deviation over samples.", _networks(runs)),
        (
            "Each layer: success rate of the head on it, noise per filter, and the filters that are silent or faded.",
            _layers(runs),
        ),
        ("Networks trained with fewer filters, against the same network with all of them.", _diluted(runs, across)),
        (
            "How many of the paper's claims hold of each run. Remarks, of runs that can be judged: what does not hold, "
            "and what keeps single claims from being judged.",
            _verdicts(runs, controls),
        ),
        (
            "The claims that need several runs, which must agree in data set, epochs, threshold and images held out, "
            "and where they are about heads in the images of these; with 95 % intervals.",
            _across(across),
        ),
    ]
    return "\n\n".join(f"{caption}\n\n{table}" for caption, table in parts if table) + "\n"


def _rows(name: str, run: Run) -> list[dict[str, object]]:
    params = run.params
    what = {"record": name, "network": run.network, "dataset": params.dataset, "samples": run.samples}
    what |= {"epochs_scale": params.epochs_scale}
    rate = network_accuracy(run)
    whole = {"mean": rate.value, "std": _network_std(run), "low": rate.low, "high": rate.high}
    whole["interval_over"] = rate.population
    rows = [what | {"layer": None, "statistic": "accuracy", "paper": _paper(run, None, "accuracy")} | whole]
    for layer, row in run.by_layer.items():
        for statistic in STATISTICS:
            is_rate = statistic == "accuracy"
            number = measures.accuracy(run, layer) if is_rate else measures.statistic(run, layer, statistic)
            found = {"layer": layer, "statistic": statistic, "paper": _paper(run, layer, statistic)}
            found |= {"mean": number.value, "std": row.get(f"{statistic}_std"), "low": number.low, "high": number.high}
            rows.append(what | found | {"interval_over": number.population})
    return rows


def _networks(runs: Runs) -> str:
    rows = []
    for network in dict.fromkeys([*LAYERS, *sorted(run.network for run in runs.values())]):
        rows += [_paper_row(network)] if network in LAYERS else []
        rows += [_network_row(name, run) for name, run in runs.items() if run.network == network]
    head = ["network", "run", "samples", "heads on", "success rate", "noise", "clusters per filter", "cluster size"]
    return _markdown([*head, "S / I, counted", "most claims not judged, because"], rows)


def _paper_row(network: str) -> list[str]:
    last = [paper_text(network, LAYERS[network][-1], statistic) for statistic in STATISTICS[1:]]
    return [network, "the paper", str(SAMPLES[network]), "", paper_text(network, None, "accuracy"), *last, ""]


def _network_row(name: str, run: Run) -> list[str]:
    row = run.by_layer[run.params.chosen_arch.examined_layers[-1]]
    last = [_statistic_text(row, statistic) for statistic in STATISTICS[1:]]
    about = "; ".join(differences(run))
    heads = f"{run.params.chosen_arch.heads.images} images"
    return [run.network, f"`{name}`", str(run.samples), heads, _network_text(run), *last, about]


def _layers(runs: Runs) -> str:
    rows = []
    for name, run in runs.items():
        for layer, row in run.by_layer.items():
            cells = [f"`{name}`", str(layer)]
            for statistic in ("accuracy", "noise"):
                cells += [_statistic_text(row, statistic), _paper_text(run, layer, statistic)]
            rows.append([*cells, f"{unusable_filters(run, layer):g} of {row['filters']:g}"])
    head = ["run", "layer", "success rate", "the paper", "noise", "the paper", "silent or faded"]
    return _markdown(head, rows) if rows else ""


def _diluted(runs: Runs, across: pd.DataFrame) -> str:
    rows, judged = [], across.set_index("id")
    for claim in CLAIMS:
        found = matching_runs(claim, list(runs.values())) if claim.id.startswith("dilute.trained.") else []
        if found:
            whole, fewer = found
            loss = number_text(*accuracy_difference(whole, fewer)[:3])
            cells = [fewer.network, _epochs_text(fewer), _network_text(fewer), whole.network, _network_text(whole)]
            rows.append([*cells, loss, claim.paper, *judged.loc[claim.id, ["verdict", "reason"]]])
    head = ["network", "epochs", "success rate", "against", "its success rate", "loss [95 %]", "loss in the paper"]
    return _markdown([*head, "verdict", "reason"], rows) if rows else ""


def _verdicts(runs: Runs, controls: Runs) -> str:
    rows = []
    for name, run in runs.items():
        table = judge(run, controls.get(name))
        counts = summarise_claims(table)
        rows.append([f"`{name}`", *map(str, counts.values()), _remarks(run, table), choices(run)])
    head = ["run", "hold", "do not hold", "cannot be compared", "hold beyond their controls", "hold without control"]
    return _markdown([*head, "remarks", "open choices"], rows) if rows else ""


def _remarks(run: Run, table: pd.DataFrame) -> str:
    """Say what does not hold of a run, and what keeps some claims about its network from being judged, and not all."""
    if (table["verdict"] == NOT_COMPARABLE).all():
        return ""
    shared, remarks = differences(run), []
    for claim, reason in zip(table["id"], table["reason"], strict=True):
        own = [part for part in reason.split("; ") if part and part not in shared]
        if own and not any(part.startswith((ABOUT, NEEDS)) for part in own):
            remarks.append(f"`{claim}`: {', '.join(own)}")
    return "; ".join(remarks)


def _across(across: pd.DataFrame) -> str:
    rows = [
        [
            *(f"`{row.id}`", row.claim, row.paper, number_text(row.measured, row.low, row.high)),
            *(number_text(row.control), row.verdict, row.reason, row.tells, row.choices),
        ]
        for row in across.itertuples()
    ]
    head = ["id", "claim", "the paper", "measured", "untrained", "verdict", "reason", "tells of learning"]
    return _markdown([*head, "open choices"], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _paper(run: Run, layer: int | None, statistic: str) -> float | None:
    """What the paper gives of a run's network and data."""
    return paper_value(run.network, layer, statistic) if run.params.chosen_dataset.source == "cifar10" else None


def _paper_text(run: Run, layer: int, statistic: str) -> str:
    return "–" if _paper(run, layer, statistic) is None else paper_text(run.network, layer, statistic)


def _epochs_text(run: Run) -> str:
    return f"{run.params.epochs_scale:g}"


def _network_std(run: Run) -> float:
    return float(run.last_epochs["test_accuracy"].std(ddof=1))


def _network_text(run: Run) -> str:
    return _mean_text(network_accuracy(run).value, _network_std(run), decimals=4)


def _statistic_text(row: Mapping[str, float], statistic: str) -> str:
    decimals = 4 if statistic == "accuracy" else 2
    mean, std = (row.get(f"{statistic}_{part}", math.nan) for part in ("mean", "std"))
    return _mean_text(mean, std, decimals)


def _mean_text(mean: float, std: float, decimals: int) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.{decimals}f}" if pd.isna(std) else f"{mean:.{decimals}f} ± {std:.{decimals}f}"
