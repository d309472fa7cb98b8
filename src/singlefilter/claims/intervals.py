"""Numbers with their 95 % intervals, and the populations that these are about.

* samples: Student's t over trained networks; of their standard deviation, χ².
* filters: the bootstrap of the tables, other filters within these samples.
* test images: Wilson's binomial interval of the success rate of one sample on other images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from scipy.special import chdtri, ndtri, stdtrit

CONFIDENCE = 0.95
SAMPLES, FILTERS, TEST_IMAGES = "samples", "filters", "test images"  # the populations of intervals
_TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


class Number(NamedTuple):
    """A measured number; NaN where it is unknown.

    Attributes:
        value: The number.
        low, high: Its interval, NaN where there is none.
        where: Where it was found, if it is the worst of several.
        population: What the interval is about; empty where there is none.
        beside: Other numbers that it is to be read with, in words.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    where: str = ""
    population: str = ""
    beside: str = ""


UNKNOWN = Number(math.nan)


def worst(numbers: Sequence[Number], badness: Callable[[Number], float]) -> Number:
    """The number of the largest badness; unknown if any is, as it could be the worst."""
    if any(math.isnan(number.value) for number in numbers):
        return UNKNOWN
    return max(numbers, key=badness, default=UNKNOWN)


def binomial(share: float, images: float) -> Number:
    """The share of images that are right, with Wilson's interval of one sample's success rate on other images.

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209.
    """
    z = float(ndtri((1 + CONFIDENCE) / 2))
    centre = share + z**2 / (2 * images)
    half = z * math.sqrt(share * (1 - share) / images + (z / (2 * images)) ** 2)
    low, high = ((centre + sign * half) / (1 + z**2 / images) for sign in (-1, 1))
    return Number(share, low, high, population="" if math.isnan(low) else TEST_IMAGES)


def over_samples(values: pd.Series) -> Number:
    """The mean of one value a sample; unknown if a sample has none."""
    mean, std = float(values.mean(skipna=False)), float(values.std(ddof=1))
    return _t_interval(mean, std, len(values))


def with_t_interval(row: Mapping[str, float], name: str, samples: int) -> Number:
    """A table's mean over samples, with the interval that follows from its standard deviation."""
    mean, std = (float(row.get(f"{name}_{end}", math.nan)) for end in ("mean", "std"))
    return _t_interval(mean, std, samples)


def spread_over_samples(std: float, samples: int) -> Number:
    """A standard deviation over samples (ddof 1), with the interval that it has if they are normally distributed."""
    if samples < 2 or math.isnan(std):
        return Number(std)
    low, high = (std * math.sqrt((samples - 1) / float(chdtri(samples - 1, tail))) for tail in _TAILS)
    return Number(std, low, high, population=SAMPLES)


def _t_interval(mean: float, std: float, samples: int) -> Number:
    """A mean over samples with Student's interval."""
    if samples < 2 or math.isnan(std):
        return Number(mean)
    half = float(stdtrit(samples - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(samples)
    return Number(mean, mean - half, mean + half, population=SAMPLES)


def difference(number: Number, other: Number, where: str = "") -> Number:
    """The difference of two numbers, and the interval that theirs give it if they are independent.

    Numbers of the same samples mostly are not: then it is too wide rather than too narrow. Intervals of different
    populations give none.
    Source: Zou and Donner (2008), Statistics in Medicine 27, 1693.
    """
    value = number.value - other.value
    if number.population != other.population:
        return Number(value, where=where)
    below = math.sqrt((number.value - number.low) ** 2 + (other.high - other.value) ** 2)
    above = math.sqrt((number.high - number.value) ** 2 + (other.value - other.low) ** 2)
    return Number(value, value - below, value + above, where, number.population)
