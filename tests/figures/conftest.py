"""The style in which every figure of these tests is drawn."""

from collections.abc import Iterator

import pytest

from tests.figures.tables import drawing_style


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with drawing_style():
        yield
