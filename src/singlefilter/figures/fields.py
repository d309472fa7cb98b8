"""Fields below the threshold, and signal to noise (Figs. 5C and 6C)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from singlefilter.figures.axes import PAPER_NAME, draw_curve, label_layers, layer_name, log_axis, paper_look
from singlefilter.figures.labels import (
    drawable_names,
    label_axis,
    label_texts,
    largest_labels,
    others_text,
    with_others,
)
from singlefilter.figures.numbers import mean_text
from singlefilter.figures.style import (
    NETWORK,
    OTHER,
    OTHERS,
    TEST,
    TRAIN,
    VALIDATION,
    Paper,
    bars_text,
    legend_above,
    legend_below,
    new_figure,
    say_if_unknown,
    say_why_empty,
    title,
)
from singlefilter.pipeline.params import LayerName

# rows of histograms.csv -> what they are, and the column of layers.csv with their mean
_ROWS = {
    "cluster": ("input labels in the filter's clusters", "fields_beside_clusters"),
    "other": ("the other input labels", "fields_off_clusters"),
}
_RATIOS = {
    "snr_counted": (TRAIN, "s", "--", "counted: S / I"),
    "snr_counted_with_noise": (VALIDATION, "^", ":", "counted: S / (I + E)"),
    "snr_rms": (TEST, "o", "-", "measured: own output / rms of others"),
}
_MEASURED = {
    "signal": (TEST, "o", "-", "signal: on the label's own output"),
    "first_noise_largest": (TRAIN, "^", "--", "first noise: largest of the other outputs"),
    "first_noise": (TRAIN, "v", ":", "first noise: mean of the other outputs"),
    "second_noise": (OTHER, "D", "-.", "second noise: own output, other filters"),
}
_COUNTED = {
    "signal_counted": (TRAIN, "s", "-", "S, signal: clusters with the label"),
    "interference_counted": (TRAIN, "D", "--", "I, interference: of these, with another label"),
    "noise_counted": (VALIDATION, "^", ":", "E, noise: outside clusters, on another label"),
}


def plot_field_histograms(histograms: pd.DataFrame, layers: pd.DataFrame, threshold: float, heading: str) -> Figure:
    """Draw the histograms of the last layer's fields that are not above threshold, with their means (Fig. 5C).

    Args:
        histograms: histograms.csv; one row per bin.
        layers: layers.csv, for the means; one row per layer.
        threshold: That the fields are not above.
        heading: What the run is.
    """
    last = layers.iloc[-1]
    bins = histograms[histograms["layer"] == last["layer"]]
    figure = new_figure(3.7)
    title(
        figure,
        f"Fields of {layer_name(layers['layer'].iloc[-1])} not above {threshold:g}",
        heading,
        "Fields are divided by their filter's largest; test set, all samples.",
        "Left: in the rows of input labels that are in a cluster of the filter; right: in its other rows.",
        "The hatched bar is of all fields below −1.",
    )
    panels = figure.subplots(1, 2, sharex=True)
    for axes, (rows, (what, column)) in zip(panels, _ROWS.items(), strict=True):
        mean = last[f"{column}_mean"]
        _draw_histogram(axes, bins[bins["rows"] == rows])
        axes.set_title(f"{what}:\nmean {mean_text(mean, last[f'{column}_std'], 3)}")
        axes.set_xlabel("field (a filter's largest is 1)")
        line = axes.axvline(mean, color=TRAIN, linestyle="--", label="mean") if pd.notna(mean) else None
    _label_fields(panels[0], bins, threshold)
    panels[0].set_ylabel("share of these fields")
    if line:
        legend_below(figure, [line])
    return figure


def plot_signal_to_noise(
    layers: pd.DataFrame, totals: NDArray[np.float64], class_names: Sequence[str], paper: Paper, heading: str
) -> Figure:
    """Draw signal and noise of each layer, measured and counted, and one input label's summed fields (Fig. 6C).

    Args:
        layers: layers.csv; one row per layer.
        totals: float64 (K, K); the normalised fields of the last layer's filters of the first sample, summed over the
            filters, input label by output label. Rows of labels without images are NaN.
        class_names: K names.
        paper: What the paper gives.
        heading: What the run is.
    """
    figure = new_figure(6.6)
    title(
        figure,
        "Signal to noise",
        heading,
        "What the images of one label bring to the outputs; means over labels, test set.",
        "Counted: each field above the threshold is one. S, the signal: the clusters that the label is in;",
        "I, the interference: those of them that another given label is in, too;",
        "E, the noise: the fields above the threshold outside of clusters, on another given label.",
        "Measured: sums of fields, in units of the mean field in clusters. Signal and first noise are of the filters",
        "whose clusters hold the label, on its own output and on the others; the second noise is of the other filters.",
        "The measured ratio is of all filters: the sum on the own output over the root mean square of the others.",
        "Without bias, a filter's fields sum to about 0, so the mean first noise is negative whatever was learnt.",
        "Last panel: the sums of the input label whose own one is the median, in the first sample.",
        bars_text(layers["samples"].max()),
        others_text(len(class_names)),
    )
    (ratios, measured), (counted, one_label) = figure.subplots(2, 2)
    curves = _draw_curves(ratios, layers, _RATIOS)
    legend_above(ratios, [*curves, *_mark_counted_ratio(ratios, layers["layer"], paper)])
    ratios.set_ylabel("signal to noise (ratio)")
    legend_above(measured, _draw_curves(measured, layers, _MEASURED))
    measured.set_ylabel("summed fields\n(mean field in clusters is 1)")
    legend_above(counted, _draw_curves(counted, layers, _COUNTED))
    counted.set_ylabel("fields above the threshold")
    _draw_input_label(one_label, layers["layer"].iloc[-1], totals, class_names)
    for axes, names in ((ratios, _RATIOS), (measured, _MEASURED), (counted, _COUNTED)):
        label_layers(axes, layers["layer"])
        say_if_unknown(axes, layers[[f"{name}_mean" for name in names]])
    found = layers[[f"{name}_mean" for name in _RATIOS]]
    if found.notna().any(axis=None) and (found.dropna(how="all").min() > 0).all():
        ratios.set_ylabel("signal to noise (ratio, logarithmic axis)")
        log_axis(ratios)  # the counted ratio may be a hundred times the measured
    for axes in (ratios, measured, counted):
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
            axes.axhline(0, color=NETWORK, linewidth=0.8, zorder=0)
    return figure


def _draw_histogram(axes: Axes, bins: pd.DataFrame) -> None:
    """Draw the bins of one kind of rows; the first one, of all fields below -1, stands apart and is hatched."""
    if not bins["count"].sum():
        say_why_empty(axes, "no such field")
        return
    inside = bins[bins["low"].notna()]
    axes.bar(inside["low"], inside["share"], width=inside["high"] - inside["low"], align="edge", color=TEST)
    below = bins[bins["low"].isna()]
    axes.bar(-1.06, below["share"], width=0.06, color="white", edgecolor=TEST, hatch="////")
    axes.yaxis.grid(True)


def _label_fields(axes: Axes, bins: pd.DataFrame, threshold: float) -> None:
    """Show the bins that are filled, and say which one is all fields below -1."""
    filled = bins.loc[bins["count"] > 0, "high"]
    lowest = min(filled, default=0)
    if lowest > -1:
        axes.set_xlim(min(lowest - 0.06, -0.1), threshold + 0.02)
        return
    axes.set_xlim(-1.12, threshold + 0.02)
    axes.set(xticks=[-1.06, -0.8, -0.6, -0.4, -0.2, 0], xticklabels=["< −1", "−0.8", "−0.6", "−0.4", "−0.2", "0"])


def _draw_curves(axes: Axes, layers: pd.DataFrame, looks: dict[str, tuple[str, str, str, str]]) -> list[Artist]:
    """Draw several statistics against the layer; give the legend's entries."""
    return [
        draw_curve(axes, layers, name, color=colour, marker=marker, linestyle=line, fillstyle="none", label=text)
        for name, (colour, marker, line, text) in looks.items()
    ]


def _mark_counted_ratio(axes: Axes, layers: pd.Series, paper: Paper) -> list[Artist]:
    """Mark the paper's S / I; what it says of the measured ratio holds by construction, and is not drawn."""
    marks = []
    for layer in layers:
        number = paper.get((layer, "snr_counted"))
        if number is not None:
            marks += axes.plot(layer, number, **paper_look(), linestyle="none")
            marks[-1].set_label(f"{PAPER_NAME}, counted: {number:g}")
    return marks


def _draw_input_label(axes: Axes, layer: LayerName, totals: NDArray[np.float64], class_names: Sequence[str]) -> None:
    """Draw the summed fields of the input label whose own one is closest to the median over labels."""
    own = np.diagonal(totals)
    if not np.isfinite(own).any():
        say_why_empty(axes, "all filters are silent")
        axes.set_xticks([])
        return
    label = int(np.nanargmin(np.abs(own - np.nanmedian(own)).round(9)))
    fields = totals[label]
    noise = np.sqrt(np.mean(np.delete(fields, label) ** 2))
    shown = largest_labels(np.where(np.arange(len(fields)) == label, np.inf, np.abs(fields)))
    heights = with_others(fields, shown, np.nanmean, axes=1)
    colours = [TEST if drawn == label else OTHERS for drawn in shown] + [OTHERS] * (len(heights) - len(shown))
    axes.bar(range(len(heights)), heights, color=colours)
    line = axes.axhline(noise, color=NETWORK, linestyle="--", label="the others, root mean square")
    axes.axhline(0, color=NETWORK, linewidth=0.8)
    name = drawable_names(class_names)[label]
    own_bar = Patch(color=TEST, label=f"{layer_name(layer)}, first sample,\ninput label {name}")
    legend_above(axes, [own_bar, line])
    axes.set_ylabel("summed fields\n(a filter's largest is 1)")
    axes.set_xlabel("output label")
    axes.set_xlim(-0.6, len(heights) - 0.4)
    label_axis(axes, "x", label_texts(class_names, shown, names=True))
