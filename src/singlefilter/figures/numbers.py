"""Numbers in figures as text."""

import pandas as pd

UNKNOWN = "n/a"


def rounded_text(value: float | None, digits: int) -> str:
    """A number for the reader; n/a where there is none."""
    return UNKNOWN if value is None or pd.isna(value) else f"{value:.{digits}f}".replace("-", "−")


def mean_text(mean: float, deviation: float | None, digits: int) -> str:
    """A mean over samples, with the standard deviation where there is one: "0.888 ± 0.002"."""
    text = rounded_text(mean, digits)
    if text == UNKNOWN or deviation is None or pd.isna(deviation):
        return text
    return f"{text} ± {rounded_text(deviation, digits)}"


def mean_last_accuracy(history: pd.DataFrame) -> tuple[float, float]:
    """The whole network's success rate on the test set after the last epoch: mean and standard deviation over samples.

    Args:
        history: The samples' training histories, with a column `seed`.
    """
    last = history.groupby("seed")["test_accuracy"].last()
    return float(last.mean()), float(last.std(ddof=1))
