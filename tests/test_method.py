"""docs/method.md: its example, and what the code cites of it."""

import doctest
import re

from singlefilter.claims.claims import CLAIMS
from tests.tiny_project import ROOT

METHOD = ROOT / "docs/method.md"
TEXT = METHOD.read_text(encoding="utf-8")


def test_its_example_gives_what_it_says():
    unfenced = TEXT.replace("```", "")  # doctest would take what closes a block of Markdown for output
    example = doctest.DocTestParser().get_doctest(unfenced, {}, METHOD.name, str(METHOD), 0)
    found = doctest.DocTestRunner().run(example)
    assert found.attempted > 3 and found.failed == 0


def test_the_sections_that_the_code_cites_are_there():
    headings = set(re.findall(r"^## (\d+)\. ", TEXT, re.MULTILINE))
    sources = [path for folder in ("src", "stages", "tests") for path in (ROOT / folder).rglob("*.py")]
    cited = {
        number for path in sources for number in re.findall(r"method, section (\d+)", path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 3 and cited <= headings


def test_it_counts_the_claims():
    several = sum(len(claim.needs) > 1 for claim in CLAIMS)
    assert (len(CLAIMS), several) == (87, 14)
    assert "as 87 numbers" in TEXT and "Fourteen numbers need several networks" in TEXT
