"""What the paper reports."""

from singlefilter.paper.values import paper_text, paper_value, paper_values


def test_the_papers_values():
    assert paper_value("vgg6", 5, "noise") == 3.14
    assert paper_value("vgg6", 4, "noise") is None
    assert paper_text("vgg16", 13, "snr_counted") == "4.8 from its averages"
    assert paper_values("avgg16") == {
        (None, "accuracy"): 0.955,
        (13, "noise"): 1.1,
        (13, "clusters"): 1,
        (13, "cluster_size"): 2.5,
    }
    assert [paper_text("vgg16", 13, name) for name in ("noise", "snr", "margin")] == ["1.5", "> 5", "–"]
