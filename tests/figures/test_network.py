"""The network as a band of blocks."""

import pytest
from matplotlib.patches import Rectangle

from singlefilter.figures.network import plot_network
from singlefilter.pipeline.params import Backbone
from singlefilter.pipeline.params_files import load_params
from tests.figures.tables import HEADING, ROOT, legend, texts

PARAMS = load_params(ROOT / "params.yaml")


def backbone(**changes) -> Backbone:
    return PARAMS.archs["vgg6"].backbone.model_copy(update=changes)


def blocks(figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_vgg6_is_drawn_layer_by_layer_with_the_heads_inputs():
    # 32 pixels, halved by each pool: heads see 64·16², 128·8², 256·4², 512·2² and 512 outputs.
    figure = plot_network(backbone(), 32, 10, [1, 5], HEADING)
    assert texts(figure.axes[0]) == [
        *("image 3 × 32 × 32", "layer"),
        *("64 × 32 × 32", "1", "max 2 × 2", "16,384 → 10"),
        *("128 × 16 × 16", "2", "max 2 × 2"),
        *("256 × 8 × 8", "3", "max 2 × 2"),
        *("512 × 4 × 4", "4", "max 2 × 2"),
        *("512 × 2 × 2", "5", "max 2 × 2", "512 → 10"),
        "10 labels",
    ]
    assert legend(figure) == ["filters × side × side", "pool", "fully connected", "head: inputs → labels"]


def test_of_a_network_that_is_no_chain_the_examined_layers_are_drawn():
    row = PARAMS.archs["resnet18"].backbone
    figure = plot_network(row, 32, 10, ["layer1", "layer4"], HEADING, outputs={"layer1": (64, 64), "layer4": (512, 1)})
    assert texts(figure.axes[0]) == [
        *("image 3 × 32 × 32", "layer1\n64 × 64", "4,096 → 10", "layer4\n512 × 1", "512 → 10", "10 labels")
    ]
    assert legend(figure) == ["layer: filters × positions", "fully connected", "head: inputs → labels"]
    assert figure.get_label().startswith("Of resnet18 the examined layers alone are drawn.")


def test_heads_on_means_have_an_input_a_filter():
    figure = plot_network(backbone(), 32, 10, [1], HEADING, pooled=True)
    assert "64 → 10" in texts(figure.axes[0]) and "Heads get means over positions." in figure.get_label()


def test_a_head_stands_on_a_layer_that_no_pool_follows():
    figure = plot_network(backbone(convolutions=(64, 32, "A4")), 32, 10, [1], HEADING)
    assert texts(figure.axes[0])[2:] == [
        *("64 × 32 × 32", "1", "65,536 → 10"),
        *("32 × 32 × 32", "2", "average 4 × 4", "10 labels"),
    ]


def test_fully_connected_layers_follow_with_what_is_between_them():
    figure = plot_network(backbone(fully_connected=(4096, 512), activation="none"), 32, 100, [], HEADING)
    assert texts(figure.axes[0])[-3:] == ["4,096", "512", "100 labels"]
    assert "fully connected, no activation between" in legend(figure)
    assert "fully connected, ReLU between" in legend(plot_network(PARAMS.archs["vgg16"].backbone, 32, 10, [], HEADING))


@pytest.mark.parametrize(
    ("convolutions", "fully_connected", "bands"),
    [
        ((8,), (), 1),
        ((64, "M") * 5, (), 1),
        ((64,) * 13 + ("M",) * 5, (512,) * 2, 1),
        ((64, 64, "M") * 10, (100,) * 20, 2),
        ((64,) * 100, (), 4),
    ],
)
def test_any_network_fits_the_page_in_as_few_bands_as_it_can(convolutions, fully_connected, bands):
    examined = [number + 1 for number in range(sum(item != "M" for item in convolutions))]
    row = backbone(convolutions=convolutions, fully_connected=fully_connected)
    figure = plot_network(row, 2**12, 10, examined, HEADING)
    figure.draw_without_rendering()
    drawn = [block.get_window_extent() for block in blocks(figure)]
    page = figure.bbox
    assert all(box.x0 >= 0 and box.x1 <= page.x1 and box.y0 >= 0 and box.y1 <= page.y1 for box in drawn)
    assert len(drawn) == 2 + len(convolutions) + len(fully_connected) + len(examined)
    for number, box in enumerate(drawn):
        assert not any(box.overlaps(other) for other in drawn[number + 1 :])
    lines = [line for line in figure.axes[0].lines if line.get_color() == "black"]
    assert len(lines) == bands


def test_larger_sides_are_higher_blocks():
    figure = plot_network(backbone(), 32, 10, [], HEADING)
    heights = [block.get_height() for block in blocks(figure)]
    assert heights[1] > heights[2] and heights[3] > heights[5] > heights[7] > heights[9]
    assert heights[0] == heights[1]
