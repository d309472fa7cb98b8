"""The page of `dvc plots`, opened in a browser that reaches no network."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser
from ruamel.yaml import YAML

from stages import vega

ROOT = Path(__file__).resolve().parents[1]
PROJECT = YAML(typ="safe").load(ROOT / "dvc.yaml")
PLOTS = {path: options for plot in PROJECT["stages"]["cluster_stats"]["plots"] for path, options in plot.items()}
RATES = "Success rate of the head on each layer"
FIRST = [f"metrics/{table}.csv" for table in ("training", "layers", "nulls", "thresholds", "claims")]
LATER = [f"metrics/{table}.csv" for table in ("filters", "histograms", "labels", "sizes")]

# What a page shows, once all of its plots have marks or ten seconds have passed: its index, the plots that are folded
# away at first, and of each plot, by its element's identifier, the text, the horizontal ends, the kind of each mark,
# what is no number and no word, in tooltips too, and the marks whose tooltip names another layer than the heading over
# them.
LOOK = r"""undrawn => new Promise(resolve => {
    const all = (place, what) => [...place.querySelectorAll(what)];
    const places = all(document.body, "#main > div[id], #more > div[id]");
    const folded = places.filter(place => !place.checkVisibility()).map(place => place.id);
    document.querySelector("#rest").open = true;
    const marks = place => all(place, "svg .role-mark > :is(path, line, text):not([d=''])")
        .filter(mark => mark.getBBox().width || mark.getBBox().height);
    const box = element => element.getBoundingClientRect();
    const middle = element => box(element).x + box(element).width / 2;
    const headings = place => all(place, "text").filter(text => /^layer \d+$/.test(text.textContent));
    const heading = mark => {
        const cell = mark.closest(".role-scope > g").querySelector(".background");
        const over = text => box(text).y < box(cell).y && Math.abs(middle(text) - middle(cell)) < 9;
        const above = headings(mark.closest("svg")).filter(over);
        return above.sort((one, other) => box(other).y - box(one).y)[0]?.textContent;
    };
    const layer = mark => mark.getAttribute("aria-label")?.match(/layer: \d+/)?.[0].replace(":", "");
    const no_word = /.{0,50}\b(NaN|Infinity|undefined|null)\b.{0,20}/g;
    const look = place => ({
        text: all(place, "svg").map(svg => svg.textContent).join(),
        ends: all(place, "svg.marks").flatMap(svg => [box(svg).left, box(svg).right]),
        marks: marks(place).map(mark => mark.parentElement.classList[0].replace("mark-", "")),
        broken: [...all(place, "text"), ...marks(place)].flatMap(element => element.outerHTML.match(no_word) ?? []),
        misplaced: marks(place).filter(mark => headings(place).length && layer(mark) && layer(mark) !== heading(mark))
            .map(mark => `${mark.getAttribute("aria-label")}, but under ${heading(mark)}`),
    });
    const started = performance.now();
    (function wait() {
        const waiting = places.filter(place => !marks(place).length).length > undrawn;
        if (waiting && performance.now() - started < 10000) return requestAnimationFrame(wait);
        resolve({
            plots: Object.fromEntries(places.map(place => [place.id, look(place)])),
            index: all(document, "nav a").map(link => [link.textContent, link.getAttribute("href")]),
            folded,
            text: document.body.innerText,
        });
    })();
})"""


@dataclass(frozen=True)
class Page:
    """What a page shows, the addresses that it asked for, and what the browser complained about."""

    shown: Mapping[str, Any]
    requests: list[str]
    complaints: list[str]


def look(browser: Browser, path: Path, undrawn: int = 0, width: int = 1400) -> Page:
    """Load a file, and look at it once its plots are drawn but for some that will not be."""
    requests: list[str] = []
    complaints: list[str] = []
    with browser.new_page(viewport={"width": width, "height": 1000}) as page:
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        return Page(page.evaluate(LOOK, undrawn), requests, complaints)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this project's plots over made-up tables, its page, that of two revisions, and one to mail.

    The tag `before` is of two samples with five layers; the workspace is of one sample, with other layers and more
    labels, in which no filter of the first layer has a cluster.
    """
    folder = tmp_path_factory.mktemp("project")
    nowhere = str(tmp_path_factory.mktemp("settings"))  # nothing of the user's own settings counts
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    environment |= dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"), nowhere)
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1"}

    def call(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr

    call("git", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc/config")
    outs = [{path: options} for path, options in PLOTS.items()]
    stages = {"tables": {"cmd": "true", "plots": outs}}
    YAML().dump({"stages": stages, "plots": PROJECT["plots"]}, folder / "dvc.yaml")
    write_tables(folder, layers=[1, 2, 3, 4, 5], labels=4, samples=2)
    call("git", "add", ".")
    call("git", "-c", "user.name=Someone", "-c", "user.email=someone@example.org", "commit", "-q", "-m", "Before")
    call("git", "tag", "before")
    write_tables(folder, layers=[2, 7, 13], labels=6, samples=1, without_clusters=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        vega.main(None)
    with ThreadPoolExecutor(2) as pool:
        plots = (sys.executable, "-m", "dvc", "plots")
        to_mail = ("show", "--html-template", "plots/page.html", "--out", "page")
        pages = (("show",), ("diff", "before", "workspace", "--out", "compared"), to_mail)
        list(pool.map(lambda page: call(*plots, *page), pages))
    return folder


@pytest.fixture(scope="module")
def one_revision(browser: Browser, project: Path) -> Page:
    return look(browser, project / "dvc_plots/index.html")


@pytest.fixture(scope="module")
def two_revisions(browser: Browser, project: Path) -> Page:
    return look(browser, project / "compared/index.html")


@pytest.fixture(scope="module")
def mailed(browser: Browser, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The one file of the page to mail, where nothing else is."""
    assert [path.name for path in (project / "page").rglob("*") if path.is_file()] == ["index.html"]
    return look(browser, Path(shutil.copy(project / "page/index.html", tmp_path_factory.mktemp("elsewhere"))))


@pytest.mark.parametrize(
    ("name", "revisions"),
    [("one_revision", ["workspace"]), ("two_revisions", ["workspace", "before"]), ("mailed", ["workspace"])],
)
def test_the_page_draws_every_plot_of_every_revision_without_a_network(name, revisions, request):
    page = request.getfixturevalue(name)
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert page.complaints == []
    assert list(page.shown["plots"]) == [identifier(plot) for plot in (RATES, *FIRST, *LATER)]
    for plot, shown in page.shown["plots"].items():
        assert shown["marks"], plot
        assert shown["broken"] == shown["misplaced"] == [], plot
        assert [revision for revision in revisions if revision not in shown["text"]] == [], plot


def test_titles_and_axes_are_named(one_revision):
    shown = {plot: look["text"] for plot, look in one_revision.shown["plots"].items()}
    rates = shown[identifier(RATES)]
    assert RATES in rates and "success rate (fraction)" in rates and "layer (its place in the network)" in rates
    layers = shown["metrics_layers_csv"]
    for statistic in ("noise per filter (ones outside clusters)", "clusters per filter", "cluster size (labels)"):
        assert statistic in layers
    for path, options in PLOTS.items():
        assert options["title"] in shown[identifier(path)]


def test_an_index_leads_to_each_plot_and_four_are_folded_away(one_revision):
    titles = [RATES, *(PLOTS[path]["title"] for path in (*FIRST, *LATER))]
    links = [f"#{identifier(plot)}" for plot in (RATES, *FIRST, *LATER)]
    assert one_revision.shown["index"] == [[title, link] for title, link in zip(titles, links, strict=True)]
    assert one_revision.shown["folded"] == [identifier(path) for path in LATER]


@pytest.mark.parametrize("width", [900, 1900])
def test_the_page_uses_its_width_and_no_more(browser, project, width):
    plots = look(browser, project / "page/index.html", width=width).shown["plots"]
    ends = {plot: shown["ends"] for plot, shown in plots.items()}
    margin = 24
    assert min(left for left, _ in ends.values()) >= margin
    assert max(right for _, right in ends.values()) <= width - margin
    assert min(ends[plot][1] for plot in ("metrics_layers_csv", "metrics_nulls_csv")) >= 0.9 * width
    beside = ends[identifier(RATES)][1] <= ends["metrics_training_csv"][0]
    assert beside == (width > 1100)


def test_claims_are_in_words(two_revisions):
    text = two_revisions.shown["plots"]["metrics_claims_csv"]["text"]
    assert "sr.0" not in text
    for words in ("SR of the network 0", "SR of the network 1", "does not hold", "in the paper", "untrained", "digits"):
        assert words in text


def test_the_marks_are_the_tables_rows(one_revision, two_revisions):
    def count(page: Page, plot: str, kind: str) -> int:
        return page.shown["plots"][identifier(plot)]["marks"].count(kind)

    assert count(one_revision, RATES, "symbol") == 3 * 2  # 3 layers; test and training set
    assert count(two_revisions, RATES, "symbol") == 3 * 2 + 5 * 2
    assert count(one_revision, RATES, "line") == 2
    assert count(two_revisions, RATES, "line") == 4
    assert count(one_revision, RATES, "rule") == 0  # one sample has no standard deviation
    assert count(two_revisions, RATES, "rule") == 5 * 2
    assert count(one_revision, "metrics/layers.csv", "symbol") == 3 + 3 + 2  # in one layer there is no cluster
    assert count(one_revision, "metrics/layers.csv", "rule") == 3 + 3 + 2
    assert count(one_revision, "metrics/labels.csv", "rect") == 6
    assert count(two_revisions, "metrics/labels.csv", "rect") == 6 + 4
    assert count(two_revisions, "metrics/claims.csv", "text") == 2 * 2 * 4  # one of three has no number
    assert count(one_revision, "metrics/training.csv", "line") == 1 + 2  # loss; accuracies on two sets
    assert count(two_revisions, "metrics/training.csv", "line") == 3 * (1 + 2)  # of three samples


def test_a_plot_without_data_is_named_and_the_others_are_drawn(browser, project, one_revision):
    html = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    emptied, count = re.subn(r"= .*;(?=\s+vegaEmbed\('#metrics_claims_csv')", "= {};", html)  # as DVC writes it then
    assert count == 1
    (project / "dvc_plots/without_claims.html").write_text(emptied, encoding="utf-8")
    page = look(browser, project / "dvc_plots/without_claims.html", undrawn=1)
    assert "#metrics_claims_csv: no data" in page.shown["text"]
    assert page.complaints == []
    drawn = {plot: shown["marks"] for plot, shown in one_revision.shown["plots"].items()}
    marks = {plot: shown["marks"] for plot, shown in page.shown["plots"].items()}
    assert marks == drawn | {"metrics_claims_csv": []}


def test_without_their_place_in_the_network_layers_are_in_the_order_of_their_numbers(browser, project):
    html = (project / "compared/index.html").read_text(encoding="utf-8")
    (project / "compared/earlier.html").write_text(re.sub('"depth": "[^"]*"', '"depth": ""', html), encoding="utf-8")
    page = look(browser, project / "compared/earlier.html")
    for plot in (identifier(RATES), "metrics_layers_csv"):
        assert "12345713layer" in page.shown["plots"][plot]["text"]  # of the one 2, 7 and 13, of the other 1 to 5


def test_panels_of_layers_are_headed_by_their_numbers(one_revision):
    for plot in ("metrics_histograms_csv", "metrics_thresholds_csv"):
        text = one_revision.shown["plots"][plot]["text"]
        assert all(f"layer {layer}" in text for layer in (2, 7, 13)), plot
    assert "layer 13" in one_revision.shown["plots"]["metrics_sizes_csv"]["text"]


def test_layers_with_names_are_in_the_order_of_the_network(browser, project):
    """stem, block and head, which is not the order of the alphabet; and the last one's labels are shown."""
    html = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    for number, name in ((2, "stem"), (7, "block"), (13, "fc")):
        html = html.replace(f'"layer": "{number}"', f'"layer": "{name}"')
    (project / "dvc_plots/named.html").write_text(html, encoding="utf-8")
    page = look(browser, project / "dvc_plots/named.html")
    assert page.complaints == []
    shown = page.shown["plots"]
    for plot in (identifier(RATES), "metrics_layers_csv", "metrics_nulls_csv", "metrics_filters_csv"):
        assert re.search(r"stem.{0,8}block.{0,8}fc", shown[plot]["text"]), plot
    for plot, names in (
        ("metrics_sizes_csv", ["block", "fc"]),  # no filter of the first layer has a cluster
        ("metrics_histograms_csv", ["stem", "block", "fc"]),
        ("metrics_thresholds_csv", ["stem", "block", "fc"]),
    ):
        text = shown[plot]["text"]
        assert "layer stem" not in text and sorted(names, key=text.index) == names, plot
    assert len(shown["metrics_labels_csv"]["marks"]) > 6


def test_where_the_script_is_missing_the_page_asks_the_network_and_then_says_what_to_do(browser, project, one_revision):
    elsewhere = project / "further/away/index.html"
    elsewhere.parent.mkdir(parents=True)
    shutil.copy(project / "dvc_plots/index.html", elsewhere)
    page = look(browser, elsewhere, undrawn=len(one_revision.shown["plots"]))
    asked = [url for url in page.requests if url.startswith("https:")]
    assert [re.search(r"npm/([a-z-]+)@", url)[1] for url in asked] == ["vega", "vega-lite", "vega-embed"]
    assert "dvc repro vega" in page.shown["text"]
    assert "dvc plots show --html-template plots/page.html -o <folder>" in page.shown["text"]
    assert "dvc repro vega" not in one_revision.shown["text"]


def test_git_ignores_each_page_that_the_documents_have_written_and_each_has_its_folder():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    commands = {line for text in texts for line in re.findall(r"dvc plots (?:show|diff)[^\n`;#]*", text)}
    folders = [re.search(r" -o (\S+)|$", command)[1] or "dvc_plots" for command in commands if " -o <" not in command]
    assert {"dvc_plots", "page", "dvc_plots_diff"} <= {*folders}
    assert not any("diff" in command and "-o" not in command for command in commands)
    paths = [f"{folder}/index.html" for folder in folders]
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == paths


def identifier(plot: str) -> str:
    """That DVC gives the element of a plot."""
    return "".join("_" if character in r"!@#$%^&*()[]{};,<>?\/:.|`~=_+ " else character for character in plot)


def write_tables(
    folder: Path, layers: list[int], labels: int, samples: int, without_clusters: int | None = None
) -> None:
    """Write tables as the stage cluster_stats does, of made-up numbers."""
    generator = np.random.default_rng(samples)
    spread = 0.05 if samples > 1 else None
    tables: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **row: Any) -> None:
        tables.setdefault(table, []).append(row)

    for depth, layer in enumerate(layers, 1):
        empty = layer == without_clusters
        statistics = {"noise": 9 / depth + samples, "clusters": 0 if empty else 1 + 1 / depth}
        statistics |= {"cluster_size": None if empty else 3 - 2 / depth, "snr_counted": depth}
        rates = {"accuracy": 0.9 - 0.2 / depth, "train_accuracy": 1 - 0.1 / depth, "validation_accuracy": None}
        columns = {"layer": layer, "depth": layer / layers[-1], "filters": 8, "samples": samples}
        for name, value in (rates | statistics).items():
            missing = value is None
            columns |= {f"{name}_mean": value, f"{name}_std": None if missing else spread}
            if name in statistics:
                columns |= {f"{name}_low": None if missing else value - 0.1}
                columns |= {f"{name}_high": None if missing else value + 0.1}
        add("layers", **columns)
        for statistic in ("noise", "clusters", "cluster_size"):
            measured = {"measured": statistics[statistic], "null_mean": 2 / depth, "null_std": 0.1, "z": 3.5}
            for null in ("ones", "columns", "labels"):
                measured = measured if statistics[statistic] is not None else dict.fromkeys(measured)
                add("nulls", layer=layer, null=null, statistic=statistic, samples=samples, draws=9, **measured)
        for split, walk in (("test", "forward"), ("test", "reversed"), ("train", "forward")):
            for threshold in (0.3, 0.45, 0.6):
                means = {f"{name}_mean": value - threshold for name, value in statistics.items() if value is not None}
                add("thresholds", layer=layer, split=split, walk=walk, threshold=threshold, **means)
        edges = [None, *np.linspace(-1, 0.3, 14).round(2)]
        for rows in ("cluster", "other"):
            for low, high in zip(edges, edges[1:], strict=False):
                share = 0.02 if low is None else np.exp(-((low + 0.2) ** 2) * 9) / 10
                add("histograms", layer=layer, rows=rows, low=low, high=high, count=int(share * 1000), share=share)
        for size in range(1, labels + 1):
            share = 0 if empty or size > 3 else 0.6 / size
            add("sizes", layer=layer, size=size, share_mean=None if empty else share, share_std=spread)
        for seed in range(samples):
            for number in range(8):
                noise = int(generator.poisson(9 / depth))
                silent = number == 7
                given = {} if silent else {"noise": noise, "clusters": 0 if empty else 1 + noise % 2}
                add("filters", seed=seed, layer=layer, filter=number, **given, silent=silent)
            for label in range(labels):
                appearances = 0 if empty else int(generator.poisson(50))
                add("labels", seed=seed, layer=layer, label=label, class_name=f"<b>{label}", appearances=appearances)
    for seed in range(samples):
        for epoch in range(5):
            loss = None if epoch == 0 else 2 / (epoch + samples + seed / 5)
            accuracies = {"train_accuracy": None if epoch == 0 else epoch / 4, "test_accuracy": 0.1 + epoch / 5}
            add("training", seed=seed, epoch=epoch, loss=loss, **accuracies, validation_accuracy=None)
    for number, verdict in enumerate(("holds", "does not hold", "not comparable")):
        measured = None if number == 2 else 0.93
        paper = {"paper": 0.94, "measured": measured, "low": None, "high": None, "tolerance": "± 0.005"}
        paper |= {"interval_over": "samples", "control": 0.1, "control_holds": False, "tells": "yes"}
        paper |= dict.fromkeys(("beside", "null", "null_holds", "construction", "choices"), "")
        add("claims", id=f"sr.{number}", claim=f"SR of the network {number}", **paper, verdict=verdict, reason="digits")
    for name, rows in tables.items():
        (folder / "metrics").mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / f"metrics/{name}.csv", index=False)
