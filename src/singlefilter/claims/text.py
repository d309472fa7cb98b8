"""The judged claims as text for the terminal."""

import math
import textwrap
from typing import Any

import pandas as pd

from singlefilter.claims.judge import FAILS, NOT_COMPARABLE, summarise_claims
from singlefilter.claims.reasons import ABOUT, NEEDS

TEXT_WIDTH = 120  # columns of a terminal
KINDS = {ABOUT: "about other networks", NEEDS: "need several runs"}


def claims_text(table: pd.DataFrame) -> str:
    """Write the claims that the run can judge for the terminal, 120 columns wide, and why it cannot judge the others.

    Args:
        table: As judge gives it, or read from its file.
    """
    texts = ("reason", "construction", "tells", "choices", "paper")
    table = table.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))
    is_judged = table["verdict"] != NOT_COMPARABLE
    judged, others = table[is_judged], table[~is_judged]
    lines = [*_judged_lines(judged), *_interval_lines(judged)]
    counts = summarise_claims(table)
    if judged.empty:
        lines.append(f"the paper's claims: none of the {len(table)} can be judged on this run")
    else:
        lines.append(
            f"the paper's claims: {counts['holds']} hold ({counts['hold_beyond_controls']} of them beyond their "
            f"controls, {counts['hold_without_control']} without control), {counts['does_not_hold']} do not, "
            f"{counts['not_comparable']} cannot be compared"
        )
    if with_number := others["measured"].count():
        lines.append(f"  of these, {with_number} have a number all the same: metrics/claims.csv")
    lines += _not_comparable_lines(others["reason"])
    choices = next(filter(None, table["choices"]), "")
    lines += _wrapped(f"open choices: {choices}") if choices else []
    return "\n".join(lines)


def number_text(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """Write a number with its interval: "0.9412 [0.9388, 0.9436]", or "–"."""
    if pd.isna(value):
        return "–"
    return f"{value:.4g}" if pd.isna(low) or pd.isna(high) else f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _judged_lines(judged: pd.DataFrame) -> list[str]:
    """Two lines a claim: its numbers and verdict, and below them in words what it is, and what limits it."""
    if judged.empty:
        return []
    rows = [("claim", "the paper", "measured [95 %]", "untrained", "verdict")]
    for row in judged.itertuples():
        measured = number_text(row.measured, row.low, row.high)
        rows.append((row.id, str(row.paper), measured, number_text(row.control), row.verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heading, *numbers = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows
    ]
    lines = [heading]
    for line, row in zip(numbers, judged.itertuples(), strict=True):
        words = "; ".join(filter(None, (row.claim, _remark(row))))
        lines += [line, *_wrapped(f"  {words}")]
    return lines


def _remark(row: Any) -> str:
    """What is to be said of a claim besides its verdict: why it does not hold, or that it tells nothing."""
    if row.verdict == FAILS:
        return row.reason
    if row.construction:
        return "by construction"
    free = [
        name for name, holds in (("untrained", row.control_holds), ("the null", row.null_holds)) if str(holds) == "True"
    ]
    return f"{' and '.join(free)} would do" if free else ""


def _interval_lines(judged: pd.DataFrame) -> list[str]:
    """Say what the intervals are about, and of how many rows."""
    counts = judged.loc[judged["low"].notna(), "interval_over"].value_counts(sort=False)
    over = ", ".join(f"{population} ({count})" for population, count in counts.items())
    return _wrapped(f"95 % intervals over {over}: column interval_over of metrics/claims.csv") if over else []


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


def _kind_of_reason(reason: str) -> str:
    for start, kind in KINDS.items():
        if any(part.startswith(start) for part in reason.split("; ")):
            return kind
    return reason


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, subsequent_indent=indent)
