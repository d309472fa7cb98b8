"""Two processes at work on the same outs at once, experiments side by side, and a reader beside a writer."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from singlefilter.pipeline.errors import InputError
from tests.feature_files import open_features
from tests.robustness.harness import (
    Options,
    Row,
    busy_place,
    counted,
    differing,
    ended,
    failure,
    has_traceback,
    say,
    start,
    started_stage,
)
from tests.robustness.stages_alone import outs_of
from tests.test_dependencies import STAGES
from tests.tiny_project import Ended, Place

APART = 0.5  # seconds at most between two starts
SWEEP = {"precision": ("bf16", "float32"), "threshold": (0.2, 0.4)}
LAYERS = (1, 2)
NOTES = (
    f"The tiny data set, 30 epochs; two of the same are started at most {APART} s apart. All files are compared with "
    "those of one process at a time."
)


def repro_twice(tree: Place, digests: dict[str, str], options: Options) -> Row:
    """Two `dvc repro -s train_backbone@0` at once: DVC lets one of them in, or both, one after the other."""
    generator = random.Random(f"{options.seed} repro")
    times, ends, wrong = options.times(5), Counter(), []
    for number in range(times):
        place = tree.copied(tree.folder.parent / f"repro twice {number}")
        assert place.dvc("repro", "download").code == 0
        for done in at_once([partial(start, place, "dvc", "repro", "-s", "train_backbone@0")] * 2, generator):
            refused = done.code != 0 and ("lock" in done.output or "is busy" in done.output)
            ends["ran" if done.code == 0 else "refused by DVC's lock" if refused else "failed"] += 1
            if has_traceback(done.output) or (done.code and not refused):
                wrong.append(failure(done))
        wrong += wrong_after_repro(place, digests)
    return row("two dvc repro -s train_backbone@0, then dvc repro", times, ends, wrong)


def stage_twice(place: Place, name: str, expected: dict[str, str], options: Options) -> Row:
    """A stage's script twice at once, without DVC, and without outs from before."""
    generator = random.Random(f"{options.seed} {name}")
    times, ends, wrong = options.times(2), Counter(), []
    for _ in range(times):
        for file in outs_of(place.folder, name):
            (place.folder / file).unlink()
        for done in at_once([partial(started_stage, place, name)] * 2, generator):
            ends["ran" if done.code == 0 else "refused"] += 1
            if done.code:
                wrong.append(failure(done))
        wrong += [f"{file} differs" for file in differing(place, expected)]
        wrong += [f"left {path.name}" for path in place.folder.rglob("*.partial")]
    return row(f"{name} twice, without DVC", times, ends, wrong)


def queue(tree: Place, options: Options) -> Row:
    """`dvc queue start -j 2` over a sweep, in which two experiments at a time share a backbone."""
    say("concurrent: the sweep, one by one")
    precisions, thresholds = (values[: 1 if options.quick else None] for values in SWEEP.values())
    cases = [(precision, threshold) for precision in precisions for threshold in thresholds]
    alone = tree.copied(tree.folder.parent / "sweep one by one")
    expected = {}
    for precision, threshold in cases:
        alone.set_params({"precision": precision, "threshold": threshold})
        done = alone.dvc("repro")
        assert done.code == 0, done
        expected[precision, threshold] = outs_of_lock((alone.folder / "dvc.lock").read_text("utf-8"))
    place = tree.copied(tree.folder.parent / "sweep queued")
    sweep = [f"precision={','.join(precisions)}", f"threshold={','.join(map(str, thresholds))}"]
    queued = place.dvc("exp", "run", "--queue", *(word for value in sweep for word in ("-S", value)))
    say("concurrent: the sweep, two at a time")
    started = place.dvc("queue", "start", "-j", "2")
    wrong = [failure(done) for done in (queued, started) if done.code]
    ends = Counter(wait_for_queue(place))
    found = queued_outs(place)
    for case in cases:
        if found.get(case) != expected[case]:
            unlike = [out for out, digest in expected[case].items() if found.get(case, {}).get(out) != digest]
            wrong.append(f"{case}: {f'others: {unlike}' if case in found else 'no result'}")
    if wrong:
        wrong += [failure(place.dvc("queue", "logs", name)) for name in queue_names(place)]
    return row(f"dvc queue start -j 2 over {counted(len(cases), 'experiment')}", 1, ends, wrong)


def wait_for_queue(place: Place) -> list[str]:
    """Wait until nothing is queued or runs, and give how each has ended."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        states = [line.split()[-1] for line in queue_lines(place)]
        if states and not {"Queued", "Running"} & set(states):
            return states
        time.sleep(1)
    return ["too slow"]


def queue_lines(place: Place) -> list[str]:
    lines = place.dvc("queue", "status").output.splitlines()
    return [line for line in lines if line.split() and line.split()[-1] in ("Queued", "Running", "Success", "Failed")]


def queue_names(place: Place) -> list[str]:
    return [line.split()[0] for line in queue_lines(place)]


def outs_of_lock(text: str) -> dict[str, str]:
    """The digest of every out in a dvc.lock, which may write the same parameters in several ways."""
    stages = YAML(typ="safe").load(text)["stages"].values()
    return {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}


def queued_outs(place: Place) -> dict[tuple[str, float], dict[str, str]]:
    """Each experiment's outs with their digests, by its parameters."""
    text = subprocess.run(
        ["git", "for-each-ref", "--format=%(objectname)", "refs/exps"],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for revision in text.split():
        shown = [show(place, revision, name) for name in ("params.yaml", "dvc.lock")]
        if all(shown):
            values = dict(line.split(" #")[0].split(": ", 1) for line in shown[0].splitlines() if is_scalar(line))
            found[values["precision"].strip(), float(values["threshold"])] = outs_of_lock(shown[1])
    return found


def is_scalar(line: str) -> bool:
    return line.startswith(("precision: ", "threshold: "))


def show(place: Place, revision: str, name: str) -> str:
    command = ["git", "show", f"{revision}:{name}"]
    done = subprocess.run(command, cwd=place.folder, env=place.environment, capture_output=True, encoding="utf-8")
    return done.stdout if done.returncode == 0 else ""


def reader_of_features(place: Place, options: Options) -> Row:
    """Read all features again and again while they are written anew, with other numbers: those of another run."""
    folder, times, wrong, seen = place.folder / "features/seed0", options.times(3), [], Counter()
    known = {"before": sums(folder)}
    for number in range(times):
        place.set_params({"precision": ("float32", "bf16")[number % 2]})  # the tiny project's is bf16
        ended(started_stage(place, "train_backbone"))
        process, states = started_stage(place, "extract_features"), []
        while process.poll() is None:
            states.append(read_sums(folder))
        done = ended(process)
        known["after"] = sums(folder)
        if done.code:
            wrong.append(failure(done))
        for read in states:
            for layer, value in read.items():
                which = [when for when, expected in known.items() if value == expected[layer]]
                seen[f"layer files as {which[0]}" if which else "others"] += 1
                if not which:
                    wrong.append(f"layer {layer}: {value}")
        known = {"before": known["after"]}
    return row(
        "the features read over and over while extract_features replaces them", times, seen, wrong, "none half-written"
    )


def read_sums(folder: Path) -> dict[int, object]:
    try:
        return sums(folder)
    except InputError as error:
        return {0: str(error)}


def sums(folder: Path) -> dict[int, tuple[int, float]]:
    """Each layer's number of training features, and their sum."""
    found = {}
    for layer in LAYERS:
        with open_features(folder, layer) as file:
            features, _ = file.whole("train")
            found[layer] = (features.size, float(features.astype(np.float64).sum()))
    return found


def heads_beside_features(place: Place, expected: dict[str, str], options: Options) -> Row:
    """Train heads on features that are written anew meanwhile, with the same numbers."""
    generator = random.Random(f"{options.seed} heads")
    times, ends, wrong = options.times(3), Counter(), []
    for _ in range(times):
        both = [partial(started_stage, place, stage) for stage in ("extract_features", "train_heads")]
        for done in at_once(both, generator):
            ends["ran" if done.code == 0 else "refused"] += 1
            if done.code or has_traceback(done.output):
                wrong.append(failure(done))
        wrong += [f"{file} differs" for file in differing(place, expected)]
    return row("train_heads beside extract_features, without DVC", times, ends, wrong)


def at_once(starts: Sequence[Callable[[], subprocess.Popen[str]]], generator: random.Random) -> list[Ended]:
    processes = []
    for begin in starts:
        processes.append(begin())
        time.sleep(generator.uniform(0, APART / len(starts)))
    return [ended(process) for process in processes]


def wrong_after_repro(place: Place, digests: dict[str, str]) -> list[str]:
    done = place.dvc("repro")
    wrong = [failure(done)] if done.code or has_traceback(done.output) else []
    return wrong + [f"{file} differs" for file in differing(place, digests)]


def row(what: str, times: int, ends: Counter[str], wrong: list[str], well: str = "all files the same") -> Row:
    happened = ", ".join(f"{count} {name}" for name, count in ends.items())
    return Row(what, times, "; ".join([happened, *(wrong or [well])]), not wrong)


def report(options: Options) -> list[Row]:
    with busy_place() as tree:
        say("concurrent: one at a time")
        place = tree.copied(tree.folder.parent / "one at a time")
        done = place.dvc("repro")
        assert done.code == 0, done
        digests = place.digests([*place.outs(), "dvc.lock"])
        say("concurrent: dvc repro twice")
        rows = [repro_twice(tree, digests, options)]
        for name in STAGES:
            say(f"concurrent: {name} twice")
            rows.append(stage_twice(place, name, digests, options))
        say("concurrent: readers")
        rows += [heads_beside_features(place, digests, options), reader_of_features(place, options)]
        return [*rows, queue(tree, options)]
