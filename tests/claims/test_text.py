"""The judged claims on the terminal."""

import math

import pandas as pd

from singlefilter.claims.judge import judge
from singlefilter.claims.text import claims_text, number_text
from tests.claims.tables import tables


def test_the_text_is_two_lines_a_claim_and_a_line_a_reason_within_the_terminal():
    run = tables()
    run.layers[2] |= {"noise": 10.0, "reversed_noise": 10.0}
    lines = claims_text(judge(run.run())).splitlines()
    assert max(map(len, lines)) <= 120
    assert lines[0].split() == ["claim", "the", "paper", "measured", "[95", "%]", "untrained", "verdict"]
    assert lines[1].split() == ["sr.vgg16", "0.94", "0.94", "[0.94,", "0.94]", "–", "holds"]
    assert lines[2] == "  vgg16: success rate of the whole network"
    place = next(number for number, line in enumerate(lines) if line.startswith("noise.vgg16.layer2"))
    assert lines[place].endswith("does not hold")
    assert lines[place + 1] == "  vgg16, layer 2: noise per filter; 6 too low"
    assert lines[-5:-1] == [
        "not comparable, 22: about other networks",
        "not comparable, 14: need several runs",
        "not comparable, 1: trained without output biases",
        "not comparable, 1: 0 training images held out, 10000 needed",
    ]


def test_a_remark_that_does_not_fit_goes_on_in_further_lines():
    table = judge(tables().run())
    place = table.index[table["id"] == "noise.lowest"][0]
    table.loc[place, ["verdict", "reason"]] = ["does not hold", " ".join(["far"] * 40)]
    lines = claims_text(table).splitlines()
    found = next(number for number, line in enumerate(lines) if line.startswith("noise.lowest"))
    assert lines[found].endswith("does not hold")
    words = " ".join(line.strip() for line in lines[found + 1 : found + 4])
    assert words == f"{table.loc[place, 'claim']}; {' '.join(['far'] * 40)}"
    assert lines[found + 4].startswith("noise.rises.layer8") and max(map(len, lines)) <= 120


def test_the_text_of_a_network_that_no_claim_is_about_has_no_table():
    lines = claims_text(judge(tables("vgg14").run())).splitlines()
    assert lines[0] == "the paper's claims: none of the 87 can be judged on this run"


def test_the_text_is_the_same_from_a_file(tmp_path):
    table = judge(tables().run())
    table.to_csv(tmp_path / "claims.csv", index=False)
    assert claims_text(pd.read_csv(tmp_path / "claims.csv")) == claims_text(table)


def test_numbers_with_and_without_intervals():
    assert number_text(math.nan, math.nan, math.nan) == "–"
    assert number_text(1.23456, math.nan, math.nan) == "1.235"
    assert number_text(1.23456, 1, 2) == "1.235 [1, 2]"
