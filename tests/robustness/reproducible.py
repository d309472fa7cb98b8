"""The same parameters in fresh clones, each with something else about the machine or the user changed."""

import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.harness import Options, Row, counted, differing, failure, has_traceback, say, tiny_place
from tests.tiny_project import Place

NOTES = (
    "The whole chain, each time by `dvc repro` in a fresh clone; every file of every out is compared with those of the "
    "first clone, and so is dvc.lock. Only another number of threads may change bytes."
)


@dataclass(frozen=True)
class Variation:
    """What is another than in the first clone.

    Attributes:
        what: Its name.
        environment: Variables.
        folder: The clone's name.
        umask: What new files may not be.
        file: An unrelated file in the tree.
        promised: Whether the bytes are to stay the same.
    """

    what: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "clone"
    umask: int = 0o022
    file: str = ""
    promised: bool = True


def variations(folder: Path) -> list[Variation]:
    """What is varied; `folder` has room for what they need."""
    home = folder / "home"
    home.mkdir()
    someone = {"HOME": str(home), "USER": "someone", "LOGNAME": "someone"}
    return [
        Variation("nothing else"),
        Variation("a folder with a space and a letter beyond ASCII", folder="mein Büro"),
        Variation(f"another user (HOME, USER, LOGNAME; not {getpass.getuser()})", someone),
        *(Variation(f"TZ={zone}", {"TZ": zone}) for zone in ("Pacific/Kiritimati", "America/St_Johns")),
        *(Variation(f"LC_ALL={name}", {"LC_ALL": name, "LANG": name}) for name in ("C", "C.UTF-8")),
        *decimal_comma(folder / "locales"),
        *(Variation(f"PYTHONHASHSEED={value}", {"PYTHONHASHSEED": value}) for value in ("0", "1", "4242")),
        Variation("an unrelated file in the tree", file="notes.txt"),
        Variation("umask 077", umask=0o077),
        Variation("SINGLEFILTER_DETERMINISTIC=1", {"SINGLEFILTER_DETERMINISTIC": "1"}),
        Variation("OMP_NUM_THREADS=1 (not promised)", {"OMP_NUM_THREADS": "1"}, promised=False),
    ]


def all_at_once(folder: Path) -> list[Variation]:
    """Those of which bytes are promised, in one."""
    environment: dict[str, str] = {}
    for variation in variations(folder):
        environment |= variation.environment if variation.promised else {}
    return [Variation("all that may change nothing, at once", environment, "mein Büro", 0o077, "notes.txt")]


def decimal_comma(folder: Path) -> list[Variation]:
    """A language that writes 0,5: one of the system's, else German made on the spot where the system can do that."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split()
    for name in listed:
        if writes_comma(name, {}):
            return [Variation(f"LC_ALL={name}, with a decimal comma", {"LC_ALL": name, "LANG": name})]
    name, place = "de_DE.UTF-8", {"LOCPATH": str(folder)}
    folder.mkdir()
    try:
        subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / name)], capture_output=True)
    except OSError:
        return []
    if not writes_comma(name, place):
        return []
    return [Variation(f"LC_ALL={name}, with a decimal comma", {"LC_ALL": name, "LANG": name, **place})]


def writes_comma(name: str, environment: Mapping[str, str]) -> bool:
    code = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.localeconv()['decimal_point'])"
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment, "LC_ALL": name}, capture_output=True, text=True
    )
    return told.stdout.strip() == ","


def run_clone(tree: Place, variation: Variation) -> tuple[Place, str]:
    """Run the chain in a fresh clone; give it, and what went wrong."""
    folder = tree.folder.parent / variation.what.replace("/", " ") / variation.folder
    folder.parent.mkdir(parents=True)
    previous = os.umask(variation.umask)
    try:
        tree.git("clone", "--quiet", str(tree.folder), str(folder))
    finally:
        os.umask(previous)
    place = Place(folder, {**tree.environment, **variation.environment})
    if variation.file:
        (folder / variation.file).write_text("What has nothing to do with it.\n", encoding="utf-8")
    ended = place.python("dvc", "repro", umask=variation.umask)
    if ended.code or has_traceback(ended.output):
        return place, f"dvc repro {failure(ended)}"
    return place, ""


def report(options: Options) -> list[Row]:
    with tiny_place() as tree:
        first, wrong = run_clone(tree, Variation("the first"))
        if wrong:
            return [Row("the chain in a clone", 1, wrong, well=False)]
        files = [*first.outs(), "dvc.lock"]
        expected = first.digests(files)
        varied = (all_at_once if options.quick else variations)(tree.folder.parent)
        return [varied_row(tree, variation, expected) for variation in varied]


def varied_row(tree: Place, variation: Variation, expected: dict[str, str]) -> Row:
    say(f"reproducible: {variation.what}")
    place, wrong = run_clone(tree, variation)
    if wrong:
        return Row(variation.what, 1, wrong, well=False)
    different = differing(place, expected)
    happened = f"{counted(len(expected) - len(different), 'file')} the same, {len(different)} others"
    if different:
        happened += f": {', '.join(different)}"
    return Row(variation.what, 1, happened, well=not different or not variation.promised)
