"""The page of all filters, in a browser that reaches no network, against the tables and arrays that it is made from."""

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

import singlefilter
from singlefilter.explorer import pack
from singlefilter.filters.clusters import clip, number_clusters
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.errors import InputError
from singlefilter.statistics.nulls import NULLS, shuffle
from tests.explorer.runs import NAMES, SILENT, Run, write_run
from tests.hand_made_filters import find_layer_clusters

pytestmark = pytest.mark.usefixtures("one_thread")

# Of lists of pictures the numbers of the images, each with what is said of it.
PICTURED = r"""lists => lists.map(list => [...list.querySelectorAll("a")].map(
    link => [Number(link.getAttribute("href").match(/image=(\d+)/)[1]), link.title]))"""
# Pictures that a screen reader does not name.
UNNAMED = """[...document.querySelectorAll("#list canvas, #panel canvas")].filter(
    canvas => !canvas.getAttribute("aria-label") && !canvas.closest("a[aria-label]")).length"""
NO_WORD = re.compile(r"\b(?:NaN|Infinity|undefined|object)\b")


@contextmanager
def opened(browser: Browser, address: str, width: int = 1300, **options: object) -> Iterator[Page]:
    """Open a page that may ask for nothing and complain of nothing."""
    complaints: list[str] = []
    with browser.new_page(viewport={"width": width, "height": 900}, **options) as page:
        page.on("request", lambda request: complaints.append(request.url))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#path li")
        yield page
        assert page.locator("#failure").is_hidden()
        ours = ("file:", "data:", "blob:")
        assert [complaint for complaint in complaints if not complaint.startswith(ours)] == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two samples, whose names of labels and images are markup."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        return write_run(NAMES, samples=2)


@pytest.fixture
def page(browser: Browser, run: Run) -> Iterator[Page]:
    with opened(browser, run.page.as_uri()) as page:
        yield page


def go(page: Page, fragment: str) -> None:
    page.evaluate("fragment => explorer.follow(fragment)", fragment)


def shown_filters(page: Page) -> list[int]:
    return page.eval_on_selector_all("#list [data-number]", "links => links.map(link => Number(link.dataset.number))")


def saved_table(page: Page) -> pd.DataFrame:
    with page.expect_download() as download:
        page.click("#save-table")
    return pd.read_csv(download.value.path(), keep_default_na=False, na_values=[""], dtype={"labels": str})


def rows_of(page: Page, caption: str) -> list[list[str]]:
    """The texts of a table's cells, by a part of its caption."""
    return page.evaluate(
        """caption => {
            const table = [...document.querySelectorAll("table")].find(of => of.caption.textContent.includes(caption));
            const texts = row => [...row.cells].map(cell => cell.textContent.replaceAll("\\u00a0", " "));
            return [...table.tBodies[0].rows].map(texts);
        }""",
        caption,
    )


@pytest.mark.parametrize(("seed", "layer"), [(0, 1), (0, 2), (1, 1), (1, 2)])
def test_the_filters_numbers_are_those_of_the_table(page, run, seed, layer):
    go(page, f"#sample={seed}&layer={layer}")
    saved, table = saved_table(page), run.tables["filters"]
    expected = table[(table["seed"] == seed) & (table["layer"] == layer)].reset_index()
    assert saved["filter"].tolist() == expected["filter"].tolist()
    assert saved["silent"].tolist() == expected["silent"].tolist()
    assert saved["labels"].fillna("").tolist() == expected["labels"].fillna("").tolist()
    for name in ("noise", "clusters", "decision_label", "decision_share", "accuracy_loss"):
        found, wanted = saved[name].astype(float), expected[name].astype(float)
        assert found.tolist() == pytest.approx(wanted.tolist(), rel=1e-5, abs=1e-7, nan_ok=True)


def test_one_filter_is_told_in_words_and_numbers(page, run):
    table = run.tables["filters"]
    filters = table[(table["seed"] == 0) & (table["layer"] == 2)].reset_index()
    for number, row in filters.iterrows():
        go(page, f"#layer=2&filter={number}")
        words = page.inner_text("#panel .words")
        if number == SILENT:
            assert words == "At the threshold 0.3 it is silent: none of its fields is positive."
            continue
        assert words.endswith(f"; noise {row['noise']:.0f}.")
        for label in [int(label) for cluster in row["labels"].split(";") for label in cluster.split()]:
            assert NAMES[label] in words
        numbers = {cells[0]: cells[1] for cells in rows_of(page, "Its numbers")}
        assert numbers["noise"] == f"{row['noise']:.0f}"
        assert numbers["label that it picks most"].startswith(f"{NAMES[int(row['decision_label'])]}, for ")
        assert page.locator("#panel .matrix canvas").count() == 3 + 1 + 3  # test, decisions, training


def test_each_sort_is_by_what_the_table_says(page, run):
    table = run.tables["filters"]
    rows = table[(table["seed"] == 0) & (table["layer"] == 2)].reset_index()
    labels = rows["labels"].fillna("").map(lambda text: [cluster.split() for cluster in text.split(";") if cluster])
    sizes = labels.map(lambda clusters: np.mean([len(of) for of in clusters]) if clusters else 0)
    label = int(pd.Series(sum(sum(labels, []), [])).mode()[0])  # the one that most filters stand for
    own = run.matrices[0, 2].splits["test"].fields[:, label, label]
    keys = {
        "filter": rows["filter"],
        "noise": rows["noise"].fillna(np.inf),
        "size": -sizes,
        "loss": -rows["accuracy_loss"].astype(np.float32),
        "label": -pd.Series(own),
    }
    for name, key in keys.items():
        go(page, f"#layer=2&sort={name}&on={label}" if name == "label" else f"#layer=2&sort={name}")
        order = key.sort_values(kind="stable").index.tolist()
        shown = shown_filters(page)
        assert shown == [number for number in order if number in shown]
        assert len(shown) >= 3 if name == "label" else len(shown) == len(rows)


def test_filters_are_narrowed_and_counted_by_what_the_matrices_say(page, run):
    test = run.matrices[0, 1].splits["test"]
    means = test.fields / test.images_per_label[:, None]
    clipped = clip(means / means.max((1, 2), keepdims=True), 0.3)
    numbers = number_clusters(clipped)
    in_cluster = (numbers >= 0).sum(axis=0)
    columns_on = (clipped.sum(axis=1) >= 0.8 * len(NAMES) - 1e-9).sum(axis=0)
    assert columns_on.any() and in_cluster.any()
    for how, expected in (("cluster", in_cluster), ("column", columns_on)):
        for label, count in enumerate(expected):
            go(page, f"#layer=1&on={label}&how={how}")
            assert len(shown_filters(page)) == count
        texts = page.eval_on_selector_all("#on option", "options => options.map(option => option.textContent)")
        assert texts[1:] == [f"{name} ({count})" for name, count in zip(NAMES, expected, strict=True)]
    pairs = [number for number, of in enumerate(numbers) if 2 in np.bincount(of[of >= 0])]
    go(page, "#layer=1&size=2")
    assert shown_filters(page) == pairs
    go(page, "#layer=2&state=silent")
    assert shown_filters(page) == [SILENT]
    go(page, "#layer=2&state=faded")
    assert shown_filters(page) == [1]


def test_a_size_that_another_layer_has_not_stays_the_one_that_is_chosen(page):
    go(page, f"#layer=1&size={len(NAMES)}")
    assert shown_filters(page) == []
    assert page.inner_text("#size option:checked") == f"a cluster of {len(NAMES)} labels (0)"
    page.select_option("#size", "-1")
    assert len(shown_filters(page)) == 12


def test_a_filter_that_the_gallery_has_not_is_among_all_others_and_is_linked_without_what_narrows(page):
    go(page, f"#layer=2&state=silent&filter={SILENT + 1}")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#panel h2") == f"layer 2, filter {SILENT + 2}"
    go(page, "#view=images&on=1&kind=all&image=3")
    page.locator("#panel table a").first.click()
    assert len(shown_filters(page)) == 12 and page.locator("#list [aria-current]").count() == 1


def test_the_slider_has_the_statistics_of_each_threshold(page, run):
    table = run.tables["thresholds"].set_index(["seed", "layer", "split", "walk", "threshold"]).sort_index()
    for threshold in SWEPT_THRESHOLDS:
        found = page.evaluate(
            """threshold => explorer.run.samples.map(sample => sample.layers.map(layer =>
                ["test", "train"].map(split => layer.means(explorer.run.level(threshold), split))))""",
            threshold,
        )
        for seed, layer, split in itertools.product((0, 1), (1, 2), ("test", "train")):
            row = table.loc[seed, layer, split, "forward", threshold]
            shown = found[seed][layer - 1][("test", "train").index(split)]
            assert shown == pytest.approx(row[list(shown)].to_dict(), nan_ok=True)
    page.focus("#threshold")
    page.keyboard.press("ArrowRight")
    assert "threshold=0.35" in page.evaluate("location.hash")
    assert page.evaluate("document.activeElement.id") == "threshold"
    noise = table.loc[0, 2, "test", "forward", 0.35]["noise"]
    assert f"noise {noise:.2f}" in page.inner_text("#path li:last-child")


@pytest.mark.parametrize("labels", [1, 2, 5, 12])
def test_clusters_are_pythons_on_random_matrices(page, labels):
    generator = np.random.default_rng(labels)
    matrices = generator.random((200, labels, labels)) < generator.random((200, 1, 1))
    codes = np.where(matrices, 40, 30)
    codes[:10] = 255  # no number is above any threshold
    matrices[:10] = False
    found = page.evaluate(
        """async ([codes, count]) => {
            const { clip, countNoise, listClusters, numberClusters } = await import("explorer/clusters.js");
            return codes.map(matrix => {
                const clipped = clip(Uint8Array.from(matrix), 30);
                const numbers = numberClusters(clipped, count);
                return [[...numbers], countNoise(clipped, listClusters(numbers))];
            });
        }""",
        [codes.reshape(200, -1).tolist(), labels],
    )
    expected = find_layer_clusters(matrices, np.zeros(200, bool))
    assert [numbers for numbers, _ in found] == expected.numbers.tolist()
    assert [noise for _, noise in found] == expected.noise.tolist()


@pytest.mark.parametrize("null", NULLS)
def test_nulls_have_pythons_means(page, null):
    clipped, draws = np.random.default_rng(8).random((6, 6)) < 0.4, 4000
    rows = np.array([0, 1, 2, 4, 5])  # the fourth label has no images
    clipped[3] = False
    mean, deviation = page.evaluate(
        """async ([name, clipped, rows, draws]) => {
            const { measureNull, randomNumbers } = await import("explorer/clusters.js");
            return measureNull(name, clipped, 6, rows, draws, randomNumbers(1)).noise;
        }""",
        [null, clipped.flatten().astype(int).tolist(), rows.tolist(), draws],
    )
    drawn = np.zeros((draws, 6, 6), bool)
    drawn[:, rows] = shuffle(null, clipped[np.newaxis, rows], draws, np.random.default_rng(0))
    noise = find_layer_clusters(drawn, np.zeros(draws, bool)).noise
    assert abs(mean - noise.mean()) < 5 * noise.std() * np.sqrt(2 / draws)
    assert deviation == pytest.approx(noise.std(), rel=0.1)


def test_a_filters_images_are_those_with_the_largest_and_smallest_fields(page, run):
    images, labels = run.images[0, 2], run.data.test.labels
    for number in range(3):
        go(page, f"#layer=2&filter={number}")
        places = np.flatnonzero(images.pairs[:, 0] == number)
        links = page.eval_on_selector_all("#panel .thumbnails", PICTURED)
        assert len(links) == 2 * len(places)
        for place, largest, smallest in zip(places, links[::2], links[1::2], strict=True):
            assert [image for image, _ in largest] == images.largest[place].tolist()
            assert [image for image, _ in smallest] == images.smallest[place].tolist()
            first = images.largest[place][0]
            assert f"({run.data.test.names[first]}): {NAMES[labels[first]]}" in largest[0][1]
            decided = images.predictions[first]
            assert (", decided " in largest[0][1]) == (decided != labels[first])


def test_pictures_are_the_images(page, run):
    page.set_viewport_size({"width": 1300, "height": 900})
    for number in (0, 17, 59):
        go(page, f"#image={number}")
        pixels = page.eval_on_selector(
            "#panel .image canvas", "canvas => [...canvas.getContext('2d').getImageData(0, 0, 8, 8).data]"
        )
        colours = np.reshape(pixels, (8, 8, 4))[..., :3].astype(float)
        # WebP halves the resolution of colours, so that they run into each other's pictures at the edges.
        assert np.abs(colours[2:6, 2:6] - run.data.test.images[number, 2:6, 2:6]).max() < 40
        assert np.abs(colours.mean(axis=2) - run.data.test.images[number].mean(axis=2)).max() < 60
        assert f"Name: {run.data.test.names[number]}" in page.inner_text("#panel")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_decision_adds_up_to_the_heads_outputs(page, run, seed):
    features, head, labels = run.features[seed, 2], run.heads[seed, 2], run.data.test.labels
    outputs = np.einsum("nfs,kfs->nk", features, head)
    mistaken = np.flatnonzero(outputs.argmax(axis=1) != labels)
    for number in mistaken[:3]:
        decided, label = outputs[number].argmax(), labels[number]
        go(page, f"#sample={seed}&image={number}")
        assert f"The head on layer 2 decides {NAMES[decided]}." in page.inner_text("#panel")
        found = page.evaluate("number => [...explorer.run.fields(explorer.sample, number)]", int(number))
        fields = np.einsum("fs,kfs->fk", features[number], head)
        steps = (features.max(axis=(0, 2), initial=0) - features.min(axis=(0, 2), initial=0)) / 255
        rounding = steps[:, np.newaxis] * np.abs(head[:, :, 0].T)
        assert (np.abs(np.reshape(found, fields.shape) - fields) <= rounding + 1e-6).all()
        rows = rows_of(page, "Outputs of the head")
        shown = {cells[0].removesuffix(" (its label)"): float(cells[1].replace("−", "-")) for cells in rows}
        assert shown == pytest.approx(dict(zip(NAMES, outputs[number].tolist(), strict=True)), abs=0.1)
        parts = rows_of(page, "of the filters that matter most")
        difference = outputs[number, decided] - outputs[number, label]
        assert float(parts[-1][-1].replace("−", "-")) == pytest.approx(difference, abs=0.1)
        assert len(parts) == features.shape[1]
        go(page, f"#sample={seed}&layer=1&image={number}")  # the decision is the last layer's, whatever is chosen
        saved = saved_table(page)
        assert saved[["sample", "layer", "image"]].drop_duplicates().to_numpy().tolist() == [[seed, 2, number]]
    go(page, f"#sample={seed}&view=images")
    (listed,) = page.eval_on_selector_all("#list .thumbnails", PICTURED)
    assert [image for image, _ in listed] == mistaken.tolist()


def test_a_labels_filters_are_those_whose_clusters_have_it(page, run):
    table = run.tables["filters"]
    rows = table[(table["seed"] == 0) & (table["layer"] == 2)]
    own = np.diagonal(run.matrices[0, 2].splits["test"].fields, axis1=1, axis2=2)
    own = own / run.matrices[0, 2].splits["test"].images_per_label
    for label in range(len(NAMES)):
        go(page, f"#view=labels&layer=2&label={label}")
        found = [row["filter"] for _, row in rows.iterrows() if str(label) in row["labels"].replace(";", " ").split()]
        saved = saved_table(page)
        assert saved["filter"].tolist() == sorted(found, key=lambda number: -own[number, label])
        assert saved["mean_field"].tolist() == pytest.approx(own[saved["filter"], label].tolist(), rel=1e-5)
    go(page, "#view=labels&layer=2")
    clusters = [{int(label) for label in of.split()} for text in rows["labels"] for of in text.split(";")]
    pairs = itertools.combinations(range(len(NAMES)), 2)
    decided = run.images[0, 2].predictions
    shown = {frozenset(cells[0].split(", ")): cells[-1] for cells in rows_of(page, "The pairs that share most")}
    for pair in itertools.combinations(range(len(NAMES)), 2):
        both = [(decided[run.data.test.labels == of] == other).sum() for of, other in (pair, pair[::-1])]
        if (key := frozenset(", ".join(NAMES[label] for label in pair).split(", "))) in shown:
            assert shown[key] == str(sum(both))
    together = {pair: sum(of.issuperset(pair) for of in clusters) for pair in pairs}
    saved = saved_table(page)
    shared = {(NAMES.index(row["label"]), NAMES.index(row["other"])): row["filters"] for _, row in saved.iterrows()}
    assert shared == together and saved["filters"].is_monotonic_decreasing
    assert page.locator("#list .matrix canvas").count() == 2  # the samples side by side


def test_a_pair_of_labels_leads_to_the_filters_with_both_in_a_cluster(page, run):
    table = run.tables["filters"]
    rows = table[(table["seed"] == 1) & (table["layer"] == 2)]
    clusters = {row["filter"]: row["labels"].split(";") for _, row in rows.iterrows() if row["labels"]}
    having = {
        pair: [number for number, of in clusters.items() if any({*map(str, pair)} <= {*text.split()} for text in of)]
        for pair in itertools.combinations(range(len(NAMES)), 2)
    }
    (one, other), filters = max(having.items(), key=lambda item: len(item[1]))
    alone = [number for number, of in clusters.items() if any(str(one) in text.split() for text in of)]
    assert filters and len(filters) < len(alone)
    go(page, "#view=labels&layer=2&size=1")
    canvas = page.locator("#list .matrix canvas").nth(1)  # the second sample's
    box, cell = canvas.bounding_box(), 280 // len(NAMES)
    canvas.click(position={"x": box["width"] - 2 - cell * (len(NAMES) - other - 0.5), "y": 1 + cell * (one + 0.5)})
    assert sorted(saved_table(page)["filter"]) == filters
    assert saved_table(page)["sample"].unique().tolist() == [1]
    assert page.inner_text("#both option:checked") == f"{NAMES[other]} ({len(filters)})"
    page.select_option("#on", str(one))
    page.select_option("#how", "column")
    page.select_option("#how", "cluster")
    assert sorted(saved_table(page)["filter"]) == alone
    go(page, "#sample=1&view=labels&layer=2")
    names = f"{NAMES[one]}, {NAMES[other]}"
    page.locator("#list table a").get_by_text(names, exact=True).click()
    assert sorted(saved_table(page)["filter"]) == filters
    go(page, f"#sample=1&label={one}&layer=2")
    row = page.locator("#panel table", has_text="Labels that share clusters").get_by_role("row")
    row.filter(has=page.get_by_role("rowheader", name=NAMES[other], exact=True)).get_by_role("link").last.click()
    assert sorted(saved_table(page)["filter"]) == filters


def test_a_label_is_clean_from_the_layer_on_where_most_of_its_ones_are_in_clusters(page, run):
    shares = {}
    for layer in (1, 2):
        test = run.matrices[0, layer].splits["test"]
        heard = np.arange(len(test.fields)) != (SILENT if layer == 2 else -1)
        means = (test.fields / test.images_per_label[:, None])[heard]
        clipped = clip(means / means.max((1, 2), keepdims=True), 0.3)
        numbers = number_clusters(clipped)
        blocks = (numbers[:, :, None] == numbers[:, None, :]) & (numbers[:, :, None] >= 0)
        shares[layer] = (clipped & blocks).sum((0, 2)) / clipped.sum((0, 2))
    for label in range(len(NAMES)):
        go(page, f"#view=labels&label={label}")
        clean = next((layer for layer in (1, 2) if all(shares[later][label] > 0.5 for later in range(layer, 3))), None)
        words = page.inner_text("#panel .words")
        assert words.startswith(f"It is clean from layer {clean} on" if clean else "It is not clean in the last layer")
        found = [cells[3] for cells in rows_of(page, "from layer to layer")]
        assert found == [f"{100 * shares[layer][label]:.1f} %" for layer in (1, 2)]


def test_keys_go_to_the_next_filter_layer_and_back(page):
    def address() -> str:
        return page.evaluate("location.hash").removeprefix("#")

    page.keyboard.press("ArrowRight")
    assert address() == "filter=0"
    page.keyboard.press("ArrowRight")
    assert address() == "filter=1"
    page.keyboard.press("ArrowUp")
    assert sorted(address().split("&")) == ["filter=1", "layer=1"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # there is none before the first
    assert sorted(address().split("&")) == ["filter=0", "layer=1"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert address() == ""
    go(page, "#view=images")
    page.fill("#number", "17")
    page.keyboard.press("ArrowLeft")  # within the field
    page.keyboard.press("Enter")
    assert sorted(address().split("&")) == ["image=17", "view=images"]
    page.go_back()
    page.wait_for_function("!location.hash.includes('image=')")
    assert page.locator("#panel > *").count() == 0


@pytest.mark.parametrize(
    ("address", "heading"),
    [
        ("#layer=1&filter=4", "layer 1, filter 4"),
        ("#sample=1&layer=2&filter=5&threshold=0.5&sort=noise", "layer 2, filter 5"),
        ("#label=2", "label cat"),
        ("#image=17", "image 17: "),
        ("#view=images&image=3", "image 3: "),
        ("#layer=99&filter=99&threshold=7&sample=x&view=none&on=77&size=-4&sort=what", None),
        ("#fliter=5&CONSTRUCTOR=1", None),
        ("#filter=1.5&label=-1&image=1e9&for=900&%E0%A4%A", None),
        ("#filter=&label=two&show=nothing&how=so&state=constructor&kind=none&view=constructor", None),
    ],
)
def test_an_address_opens_what_it_names_and_what_there_is_not_is_left_out(browser, run, address, heading):
    with opened(browser, run.page.as_uri() + address) as page:
        missing = page.inner_text("#missing")
        assert missing.startswith("Not on this page: ") == (heading is None)
        if heading:
            assert page.inner_text("#panel h2").startswith(heading)
        else:
            named, told = re.findall(r"(\w+)=", address), missing.removeprefix("Not on this page: ")
            assert all(re.search(rf"\b{key} ", told) for key in named), missing
            assert page.locator("#panel > *").count() == 0
            assert len(shown_filters(page)) == 12


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1300, "dark")])
def test_every_view_fits_its_window_and_can_be_read_aloud(browser, run, width, scheme):
    with opened(browser, run.page.as_uri(), width, color_scheme=scheme) as page:
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 28)"
        assert dark == (scheme == "dark")
        for address in ("#", "#filter=2", "#view=labels", "#view=labels&label=1", "#view=images", "#image=17"):
            go(page, address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(UNNAMED) == 0
            page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            assert NO_WORD.findall(page.inner_text("body")) == []
            assert page.evaluate("document.querySelectorAll('select:not([id]), input:not([id])').length") == 0


def test_names_are_texts_whatever_is_in_them(page):
    for address in ("#", "#filter=2", "#view=labels&label=0", "#image=0"):
        go(page, address)
        assert page.locator("body b:has-text('.png'), #list script, #panel script").count() == 0
    go(page, "#view=labels&label=0")
    assert page.inner_text("#panel h2") == f"label {NAMES[0]}"


def test_the_value_under_the_pointer_is_said(page, run):
    test = run.matrices[0, 2].splits["test"]
    means = test.fields[0] / test.images_per_label[:, None]
    row, column = np.unravel_index(means.argmax(), means.shape)
    go(page, "#layer=2&filter=0&show=fields")
    canvas = page.locator("#panel .matrix canvas").first
    box, cell = canvas.bounding_box(), 140 // len(NAMES)
    canvas.hover(position={"x": box["width"] - 2 - cell * (len(NAMES) - column - 0.5), "y": 1 + cell * (row + 0.5)})
    said = page.locator("#panel .matrix output").first.inner_text()
    assert said == f"{NAMES[row]} → {NAMES[column]}: 1"


def test_what_is_shown_is_saved_as_a_picture_of_the_page_in_its_colours(page):
    page.emulate_media(color_scheme="dark")
    for address in ("#", "#filter=2", "#view=labels", "#label=1", "#image=17"):
        go(page, address)
        with page.expect_download() as download:
            page.click("#save-picture")
        picture = Image.open(io.BytesIO(download.value.path().read_bytes()))
        assert download.value.suggested_filename.startswith("explorer") and picture.format == "PNG"
        assert min(picture.size) > 150 and len(picture.getcolors(2**24)) > 3
        width, height = picture.size
        corners = [picture.getpixel((x, y))[:3] for x in (0, width - 1) for y in (0, height - 1)]
        assert corners == [(21, 21, 28)] * 4
    go(page, "#filter=2")
    fields = saved_table(page)
    assert fields[["sample", "layer", "threshold", "filter"]].drop_duplicates().to_numpy().tolist() == [[0, 2, 0.3, 2]]
    assert len(fields) == 2 * len(NAMES) ** 2 and set(fields["cell"]) <= {"off", "noise", "cluster"}


@pytest.mark.parametrize(("labels", "filters"), [(2, 12), (100, 40)])
def test_few_and_many_labels_are_drawn(browser, labels, filters, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(tuple(f"label {number}" for number in range(labels)), filters=(filters, filters), test_images=200)
    with opened(browser, run.page.as_uri()) as page:
        silent = f"#filter={SILENT}"
        for address in ("#", "#filter=2", silent, "#layer=1&show=fields", "#view=labels", "#label=1", "#image=17"):
            go(page, address)
            assert page.locator("#list canvas, #list [data-number], #list .thumbnails").count() > 0
        outputs = [cells[0] for cells in rows_of(page, "Outputs of the head")]  # of image 17
        assert len(outputs) in (min(labels, 20), 21)  # its own label may be none of the largest
        assert [name for name in outputs if name.endswith(" (its label)")]
        assert ("of 100)" in page.inner_text("#panel")) == (labels == 100)
        go(page, "#filter=2")
        words = page.inner_text("#panel .words")
        row = run.tables["filters"].query("layer == 2 and filter == 2").iloc[0]
        assert words.endswith(f"; noise {row['noise']:.0f}.")


def test_a_notebook_shows_a_filter_in_a_frame(browser, tmp_path):
    fields = np.random.default_rng(0).normal(size=(5, 3, 3))
    panel = singlefilter.show_filter(fields, 2, class_names=["a", "b", "<c>"], train=fields + 0.01)
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><meta charset=utf-8>{panel._repr_html_()}", encoding="utf-8")
    with browser.new_page() as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(notebook.as_uri())
        frame = page.frame_locator("iframe")
        frame.locator("#panel h2", has_text="filter 2").wait_for()
        assert frame.locator("#panel .matrix canvas").count() == 6
        frame.get_by_text("next →").click()
        frame.locator("#panel h2", has_text="filter 3").wait_for()
        assert complaints == []
        assert NO_WORD.findall(frame.locator("body").inner_text()) == []


def test_the_fields_are_a_table_too(page, run):
    test = run.matrices[0, 2].splits["test"]
    means = test.fields[2] / test.images_per_label[:, None]
    fields = means / means.max()
    go(page, "#layer=2&filter=2")
    page.locator("#panel summary", has_text="all fields").first.click()
    page.wait_for_selector("#panel details table")
    rows = rows_of(page, "Fields on the test set")
    assert [cells[0] for cells in rows] == list(NAMES)
    shown = np.array([[float(cell.replace("−", "-").split()[0]) for cell in cells[1:]] for cells in rows])
    above = fields > -1.5
    assert (shown[above] >= fields[above] - 1e-9).all() and (shown[above] - fields[above] < 0.01).all()


def test_the_images_are_those_of_the_chosen_layers_head_and_follow_each_other(page, run):
    labels = run.data.test.labels
    mistaken = np.flatnonzero(run.images[0, 1].predictions != labels)
    go(page, "#view=images&layer=1")
    (listed,) = page.eval_on_selector_all("#list .thumbnails", PICTURED)
    assert [image for image, _ in listed] == mistaken.tolist()
    saved = saved_table(page)
    assert saved["image"].tolist() == mistaken.tolist() and set(saved["layer"]) == {1}
    decided = run.images[0, 1].predictions[mistaken]
    assert saved["decided"].tolist() == [NAMES[label] for label in decided]
    assert decided.tolist() != run.images[0, 2].predictions[mistaken].tolist()
    go(page, f"#view=images&layer=1&image={mistaken[1]}")
    assert page.locator("#list [aria-current]").get_attribute("data-number") == str(mistaken[1])
    page.keyboard.press("ArrowRight")
    assert f"image={mistaken[2]}" in page.evaluate("location.hash")
    right = np.flatnonzero(run.images[0, 1].predictions == labels)
    go(page, f"#view=images&layer=1&image={right[0]}")  # not in the list: all images follow
    page.get_by_text("next →").click()
    assert f"image={right[0] + 1}" in page.evaluate("location.hash")


def test_a_threshold_that_is_slid_over_is_no_page_to_go_back_to(page):
    page.keyboard.press("ArrowRight")
    page.focus("#threshold")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "threshold=0.4" in page.evaluate("location.hash")
    page.go_back()
    page.wait_for_function("explorer.state.threshold === 0.3")
    assert page.locator("#panel > *").count() == 0


def test_what_is_chosen_is_in_a_narrow_window_and_closing_goes_back_to_it(browser, run):
    with opened(browser, run.page.as_uri(), width=400) as page:
        page.locator("#list [data-number='11']").click()
        assert 0 <= page.locator("#panel h2").bounding_box()["y"] < 900
        page.keyboard.press("Escape")
        assert 0 <= page.locator("#list [data-number='11']").bounding_box()["y"] < 900


def test_the_words_stay_open_while_one_goes_on(page):
    page.get_by_text("What the words mean").click()
    page.keyboard.press("ArrowRight")
    assert page.get_by_text("the filter has a cluster with the label").is_visible()


def test_the_slider_can_be_dragged_and_choices_leave_the_filter_open(page):
    go(page, "#filter=2")
    box = page.locator("#threshold").bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.3, 0.6, 1):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    assert page.evaluate("explorer.state.threshold") == 0.6
    page.select_option("#sort", "noise")
    page.select_option("#show", "fields")
    assert page.inner_text("#panel h2") == "layer 2, filter 2"
    page.focus("#threshold")
    page.keyboard.press("Escape")
    assert page.locator("#panel > *").count() == 0


def test_shared_clusters_of_more_labels_than_a_call_takes_arguments_are_drawn(page):
    """A browser's functions take some 100,000 arguments, and 400 labels have 160,000 pairs."""
    most = page.evaluate(
        """async () => {
            const { drawLabels } = await import("explorer/labels.js");
            const names = Array.from({ length: 400 }, (_, label) => `label ${label}`);
            const counts = new Int32Array(400 * 400).fill(2);
            const layer = { name: "1", title: "layer 1", filters: 3, at: () => [], array: () => undefined,
                sharedClusters: () => counts };
            const sample = { name: "0", layers: [layer] };
            const run = { names, samples: [sample], labels: undefined, about: {} };
            const view = { run, layer, sample, level: 0, state: { layer: "1" }, address: () => "#", go: () => {} };
            return drawLabels(view).flat(Infinity).length;
        }"""
    )
    assert most > 0


def focused(page: Page) -> tuple[str, str]:
    """The part of the page that the focused element is in, and its text."""
    return tuple(
        page.evaluate(
            """[document.activeElement.closest("#controls, #path, #list, #panel")?.id ?? "",
                document.activeElement.textContent]"""
        )
    )


def test_arrows_leave_the_window_where_it_is(page):
    go(page, "#filter=2")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    before = page.evaluate("scrollY")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("explorer.state.filter") == 3
    assert page.evaluate("scrollY") == before > 100


def test_the_chosen_layer_is_seen_in_a_narrow_window(browser, run):
    with opened(browser, run.page.as_uri(), width=400) as page:
        for layer in (2, 1):
            go(page, f"#layer={layer}")
            card = page.locator("#path [aria-current]").bounding_box()
            assert card["x"] >= 0 and card["x"] + card["width"] <= 400


@pytest.mark.parametrize("width", [700, 1300])
def test_a_panel_does_not_scroll_its_notebook(browser, tmp_path, width):
    fields = np.random.default_rng(0).normal(size=(40, 3, 3))
    notebook = tmp_path / "notebook.html"
    frame = singlefilter.show_filter(fields, 30)._repr_html_()
    notebook.write_text(f"<!doctype html><div style='height: 3000px'></div>{frame}", encoding="utf-8")
    with browser.new_page(viewport={"width": width, "height": 900}) as page:
        page.goto(notebook.as_uri())
        page.frame_locator("iframe").locator("#panel h2", has_text="filter 30").wait_for()
        assert page.evaluate("scrollY") == 0
        for changes in ("{filter: 39}", "{filter: undefined}"):
            page.frames[1].evaluate(f"explorer.go({changes})")
            assert page.evaluate("scrollY") == 0


def test_the_focus_stays_in_its_part_of_the_page(page):
    go(page, "#filter=2")
    for text in ("next →", "← previous"):
        page.get_by_text(text).focus()
        page.keyboard.press("Enter")
        assert focused(page) == ("panel", text)
    page.get_by_text("close").focus()
    page.keyboard.press("Enter")
    assert focused(page)[0] == "list"
    page.focus("#path li:first-child a")
    page.keyboard.press("Enter")
    assert focused(page)[0] == "path" and "layer 1" in focused(page)[1]
    page.get_by_role("link", name="Labels").focus()
    page.keyboard.press("Enter")
    assert focused(page) == ("controls", "Labels")
    page.keyboard.press("ArrowRight")  # the tab's address names a label now
    assert focused(page)[0] == "controls"
    page.keyboard.press("Escape")
    page.locator("#list table a").first.focus()
    page.keyboard.press("Enter")  # leads to the filters with both labels
    assert focused(page)[0] == "list"


def test_another_view_or_layer_does_not_scroll_to_what_was_chosen_last(page):
    page.set_viewport_size({"width": 1300, "height": 300})
    for elsewhere in ("#view=images&kind=all", "#layer=1"):
        go(page, "#layer=2&filter=11")
        page.evaluate("scrollTo(0, 0)")
        go(page, elsewhere)
        assert page.evaluate("scrollY") == 0


def test_a_layer_with_fewer_filters_shows_its_last(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(("a", "b", "c"), filters=(5, 12))
    with opened(browser, run.page.as_uri() + "#layer=2&filter=9") as page:
        page.keyboard.press("ArrowUp")
        assert page.inner_text("#panel h2") == "layer 1, filter 4"
        assert page.inner_text("#missing") == ""


@pytest.mark.parametrize("names", [["WATERMELON", "MMMMMMMMMMMMMM"], ["西瓜西瓜西瓜西瓜西瓜", "i"], ["gA"] * 20])
def test_names_beside_a_matrix_are_whole_and_apart(page, names):
    """Seen from the left margin of the canvas: where ink is."""
    inked = page.evaluate(
        """async names => {
            const { matrix, ofShare, palette } = await import("explorer/draw.js");
            const labels = names.map((_, label) => label);
            const codes = new Uint8Array(names.length ** 2);
            const drawn = matrix({ title: "", codes, labels, names, colours: palette(() => 0, ofShare), about: "" });
            const canvas = drawn.querySelector("canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const has = (x, y) => [0, 1, 2].some(part => data[4 * (y * canvas.width + x) + part] !== data[part]);
            const rows = Array.from({ length: canvas.height }, (_, y) => y);
            const edge = rows.some(y => has(0, y)) || rows.some(x => x < canvas.width && has(x, canvas.height - 1));
            const side = rows.findLastIndex(y => has(canvas.width - 3, y));
            const inked = rows.slice(0, side).map(y => Array.from({ length: 14 }, (_, x) => x).some(x => has(x, y)));
            return [edge, inked.filter((is, y) => is && !inked[y - 1]).length];
        }""",
        names,
    )
    assert not inked[0]
    if len(names) == 20:
        assert inked[1] == 20


def test_the_panels_clipped_matrix_is_the_gallerys(page, run):
    noisy = run.tables["filters"].query("seed == 0 and layer == 2 and noise > 0")["filter"].iloc[0]
    go(page, f"#layer=2&filter={noisy}&show=clipped")
    colours = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set();
        for (let at = 0; at < data.length; at += 4) found.add(data.slice(at, at + 4).join());
        return [...found];
    }"""
    page.wait_for_selector("#list [aria-current] canvas")
    gallery = page.eval_on_selector("#list [aria-current] canvas", colours)
    assert "240,196,25,255" in gallery
    assert set(gallery) <= set(page.locator("#panel .matrix canvas").nth(1).evaluate(colours))
    note = page.locator("#panel .note").first.inner_text()
    assert "Fields: blue −1, white 0, red 1" in note and "yellow noise" in note


def test_a_silent_filter_is_told_without_a_scale(page):
    go(page, f"#layer=2&filter={SILENT}")
    abouts = page.eval_on_selector_all("[aria-label]", "all => all.map(of => of.getAttribute('aria-label'))")
    assert f"filter {SILENT} is silent: none of its fields is positive" in abouts
    assert not [about for about in abouts if "it silent" in about or "the largest is 1" in about]
    assert "1 is the filter's" not in page.locator("#panel .note").first.inner_text()


def test_numbers_however_small_are_written_with_three_digits(page):
    values = [0, 0.5, -0.00012345, 5e-5, -1.234e-7, 1e-120]
    texts = page.evaluate(
        "async values => values.map((await import('explorer/html.js')).digits)",
        values,
    )
    assert texts == ["0", "0.500", "−0.000123", "5.00e−5", "−1.23e−7", "1.00e−120"]


def test_matrices_that_no_browser_takes_are_refused_in_a_notebook(monkeypatch):
    fields = np.ones((6, 2, 2))
    monkeypatch.setattr(pack, "MOST_ELEMENTS", 2 * 24)
    singlefilter.show_filter(fields, train=fields)
    monkeypatch.setattr(pack, "MOST_ELEMENTS", 2 * 24 - 1)
    with pytest.raises(InputError, match=r"^matrices: .* MB, where a browser takes 0; show fewer filters"):
        singlefilter.show_filter(fields, train=fields)


def test_a_label_without_fields_above_the_threshold_has_no_noise_either(page):
    page.evaluate("explorer.sample.layers[1].clean = () => new Float64Array(5).fill(NaN)")
    go(page, "#label=1")
    assert page.inner_text("#panel .words") == (
        "It is not clean in the last layer: none of its fields is above the threshold."
    )


def test_of_several_samples_the_null_is_said_to_be_their_mean(page):
    assert "outputs, mean over all samples." in page.inner_text("#path")
    page.evaluate("explorer.run.samples.splice(1)")
    go(page, "#layer=2")
    assert "outputs." in page.inner_text("#path") and "mean over all" not in page.inner_text("#path .note")


def test_a_single_layer_has_no_line(page):
    assert "Line and second number: the same by chance" in page.inner_text("#path")
    page.evaluate("explorer.run.samples.forEach(sample => sample.layers.shift())")
    go(page, "#layer=2")
    assert "Line" not in page.inner_text("#path") and "Second number: the same by chance" in page.inner_text("#path")


def test_a_decision_of_few_filters_has_no_ten_strongest(page):
    go(page, "#image=17")
    words = page.locator("#panel section .words").inner_text()
    rows = rows_of(page, "of the filters that matter most")
    speaking = [float(cells[3].replace("−", "-")) for cells in rows]
    speaking = [value for value in speaking if value > 0]
    assert 0 < len(speaking) < 10
    assert "; those for " in words and float(words.rstrip(".").split()[-1]) == pytest.approx(sum(speaking), abs=0.05)


def test_a_label_in_a_notebook_has_no_empty_columns(browser, tmp_path):
    fields = [[1.0, 0.9, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.1]]
    singlefilter.show_filter(fields, class_names=["a", "b", "c"]).save(tmp_path / "panel.html")
    with opened(browser, (tmp_path / "panel.html").as_uri() + "#label=0") as page:
        for label in (0, 2):
            go(page, f"#label={label}")
            assert "" not in sum(rows_of(page, "from layer to layer"), [])
            assert "success rate" not in page.locator("#panel table").first.inner_text()
            assert "images" not in page.locator("#panel table thead", has_text="of a's").all_inner_texts()
        assert "No filter of the layer stands for c." in page.inner_text("#panel")
        assert "0 of 0" not in page.inner_text("#panel")
        go(page, "#label=0")
        assert [len(cells) for cells in rows_of(page, "Labels that share clusters with a")] == [3]


def test_back_in_a_saved_panel_leads_to_the_filter_that_it_was_made_for(browser, tmp_path):
    singlefilter.show_filter(np.random.default_rng(0).normal(size=(5, 3, 3)), 2).save(tmp_path / "panel.html")
    with opened(browser, (tmp_path / "panel.html").as_uri()) as page:
        page.keyboard.press("ArrowRight")
        page.locator("#panel h2", has_text="filter 3").wait_for()
        page.go_back()
        page.locator("#panel h2", has_text="filter 2").wait_for()
        page.keyboard.press("Escape")
        page.reload()
        page.wait_for_selector("#path li")
        assert page.locator("#panel > *").count() == 0
        go(page, "#state=faded&sort=loss")  # which fields alone do not tell
        assert page.inner_text("#missing") == "Not on this page: sort loss, state faded."
        assert shown_filters(page) == [*range(5)]


@pytest.mark.parametrize(
    ("lacks", "script"),
    [("DecompressionStream", "delete globalThis.DecompressionStream"), ("modules", "globalThis.without = true")],
)
def test_a_browser_that_is_too_old_is_told(browser, run, lacks, script, tmp_path):
    text = run.page.read_text(encoding="utf-8")
    old = tmp_path / "old.html"
    old.write_text(text.replace('"explorer/app.js":', '"explorer/none.js":') if lacks == "modules" else text, "utf-8")
    with browser.new_page() as page:
        page.add_init_script(script)
        page.goto(old.as_uri())
        page.locator("#failure").wait_for()
        assert page.inner_text("#failure").endswith("It needs a browser of 2023 or later.")


def test_a_value_stays_when_the_finger_is_lifted(page):
    go(page, "#layer=2&filter=2&show=fields")
    canvas = page.locator("#panel .matrix canvas").first
    said = """(canvas, kinds) => {
        const box = canvas.getBoundingClientRect();
        const [clientX, clientY] = [box.right - 9, box.top + 9];
        const place = { clientX, clientY, pointerType: "touch" };
        for (const kind of kinds) canvas.dispatchEvent(new PointerEvent(kind, place));
        return canvas.nextSibling.textContent;
    }"""
    assert f"{NAMES[0]} → {NAMES[-1]}: " in canvas.evaluate(said, ["pointerdown", "pointerup", "pointerleave"])


def test_the_table_of_fields_stays_open_and_scrolls_by_keys(browser, run):
    with opened(browser, run.page.as_uri() + "#layer=2&filter=2", width=330) as page:
        page.click("#open-test")
        page.wait_for_selector("#fields-test table")
        box = page.locator("#fields-test .scroll")
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        box.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("explorer.state.filter") == 2
        page.get_by_text("next →").click()
        page.wait_for_selector("#fields-test table")
        assert page.inner_text("#panel h2") == "layer 2, filter 3"


def test_a_sort_by_a_label_ends_with_the_label(page):
    go(page, "#on=1&sort=label")
    page.select_option("#on", "-1")
    assert page.evaluate("[explorer.state.sort, document.getElementById('missing').textContent]") == ["filter", ""]
    go(page, "#sort=label&both=2")
    assert page.inner_text("#missing") == "Not on this page: sort label, both 2."
    go(page, "#sort=loss")
    card = page.locator("#list [data-number]").first
    assert card.get_attribute("aria-label").endswith(f"; {card.locator('small').inner_text().strip()}")


def test_names_from_right_to_left_turn_nothing_round(browser, tmp_path):
    fields = [[1.0, 0.9], [0.8, 1.0]]
    singlefilter.show_filter(fields, class_names=["\u05d0\u05d1", "dog"]).save(tmp_path / "panel.html")
    with opened(browser, (tmp_path / "panel.html").as_uri()) as page:
        assert "\u2068\u05d0\u05d1\u2069" in page.inner_text("#panel .words")
        assert set(saved_table(page)["input_label"]) == {"\u05d0\u05d1", "dog"}


def test_choices_say_what_they_choose(page):
    for name in ("the label is", "filters with", "of which filters"):
        assert page.get_by_role("combobox", name=name, exact=True).count() == 1


def test_keys_that_change_nothing_leave_the_history_alone(page):
    before = page.evaluate("history.length")
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("[history.length, location.hash]") == [before, ""]
    for _ in range(4):
        page.keyboard.down("ArrowRight")  # held: all but the first are repeated
    assert page.evaluate("[history.length, location.hash]") == [before + 1, "#filter=3"]


def test_long_names_fit_a_narrow_window(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(tuple(letter * 90 for letter in "abc"), test_images=30)
    with opened(browser, run.page.as_uri(), width=400) as page:
        for address in ("#", "#filter=2", "#view=labels", "#label=1", "#view=images", "#image=17"):
            go(page, address)
            assert page.evaluate("document.documentElement.scrollWidth") <= 400, address
        go(page, "#filter=0")
        page.locator("#panel .matrix canvas").first.hover()
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_more_clusters_than_a_call_takes_arguments_are_counted(page):
    page.evaluate(
        """() => {
            const found = Array.from({ length: 200000 }, (_, number) =>
                ({ filter: number % 12, clusters: [[0, 1]], noise: 0, size: 2, silent: false }));
            explorer.layer.at = () => found;
            explorer.draw();
        }"""
    )
    assert page.inner_text("#size option:last-child") == "a cluster of 2 labels (200000)"


def test_a_gallery_is_printed_whole(page):
    """Before the browser has told which cards are near the window."""
    drawn = """print => {
        explorer.follow("#layer=1");
        if (print) dispatchEvent(new Event("beforeprint"));
        return document.querySelectorAll("#list .gallery canvas").length;
    }"""
    assert [page.evaluate(drawn, print) for print in (False, True)] == [0, 12]


def test_what_is_chosen_is_printed_whole(page):
    go(page, "#filter=2")
    page.emulate_media(media="print")
    assert page.locator("#controls").is_hidden() and page.locator("#list").is_hidden()
    assert page.evaluate(
        "document.getElementById('panel').scrollHeight === document.getElementById('panel').clientHeight"
    )
    page.set_viewport_size({"width": 330, "height": 900})  # where its two layers are wider than the paper
    assert page.evaluate("(of => of.scrollWidth <= of.clientWidth)(document.querySelector('ol.path'))")
