"""Confidence intervals by bootstrap: a layer's filters drawn again, with replacement, within each sample."""

import numpy as np
import pandas as pd

from singlefilter.pipeline.params import LayerName, layer_key

_LOW, _HIGH = 0.025, 0.975


def bootstrap_draws(label_count: int) -> int:
    """How often a layer's filters are drawn again: 1,000 times, and less often where K × K sums per draw take long.

    Args:
        label_count: K.
    """
    return max(20, min(1000, 2**25 // label_count**2))


def resampling_weights(filters: int, label_count: int, layer: LayerName, seed: int) -> np.ndarray:
    """Draw how often each filter of a layer is in each resampled layer.

    Args:
        filters: F; as many are drawn.
        label_count: K, which limits the number of draws D.
        layer: The layer; with the seed it fixes the draws.
        seed: The layer's sample.

    Returns:
        float64 (1 + D, F). The first row is ones, the layer as it is; the rows sum to F.
    """
    generator = np.random.default_rng([layer_key(layer), seed])
    drawn = generator.multinomial(filters, np.full(filters, 1 / filters), size=bootstrap_draws(label_count))
    return np.concatenate([np.ones((1, filters)), drawn])


def intervals(draws: pd.DataFrame) -> pd.DataFrame:
    """Give the 95 % intervals of the layers' statistics, each the mean over samples.

    Args:
        draws: One row per sample, layer and draw: layer, draw, and a column for each statistic X. Draw 0 is the layer
            as it is, the others are resampled. A NaN is left out of means and percentiles.

    Returns:
        One row per layer, indexed by it: X_low and X_high, which lie as far below and above the layer's own value as
        the 2.5 and 97.5 percentiles below and above the draws' median. For a mean they are these percentiles, nearly.
        But a root mean square, a maximum, or a spread over labels grows with the variance between filters, which
        drawing them again doubles: there the draws' own place is not the layer's, and only their spread is used.
    """
    over_samples = draws.groupby(["layer", "draw"]).mean()
    own = over_samples.xs(0, level="draw")
    drawn = over_samples.drop(0, level="draw").groupby("layer")
    low, high = (own + (drawn.quantile(share) - drawn.median()) for share in (_LOW, _HIGH))
    return low.add_suffix("_low").join(high.add_suffix("_high"))
