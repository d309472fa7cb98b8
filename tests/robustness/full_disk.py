"""A full disk, files and folders that may not be written or read, and no memory."""

import ctypes
import re
import resource
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from singlefilter.training import checkpoint as checkpoints
from tests.robustness.harness import Options, Row, say
from tests.robustness.stages_alone import CHAIN, Ended, copied, everything, inputs_of, make_project, outs_of, run

NOTES = (
    "Each stage alone, in a tiny project in which all stages have run, with a checkpoint after every epoch. Where it "
    "cannot go on, it must end in one line that names a file and what it needs, and all files must be whole: those "
    "that were there as they were, and new ones as a run makes them that nothing disturbs."
)
DISK = 32 * 2**20  # bytes
PAGE = 4096  # bytes: what a file takes grows by
NEEDS_SPACE = r"\S+ (cannot be written: .*; it needs more than the .* free|is to hold .* free)"
NEEDS_WRITING = r"\S+ cannot be written: .*; let it and its folder be written"
NEEDS_READING = r"\S+:? cannot be read"
NEEDS_MEMORY = r".*(too little memory|codec configuration error)"  # the latter is Pillow's word for it
Hinder = Callable[[Path, str], None]


def report(options: Options) -> list[Row]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)
        project = make_project(root / "project")
        rows: list[Row] = []
        for part in (full_disks, file_limits, modes, memory_limits):
            say(f"full_disk: {part.__name__}")
            rows += part(project, root, options)
    return rows


def full_disks(project: Path, root: Path, options: Options) -> Iterator[Row]:
    """A small disk of its own, on which so much is left free, and one that is read-only."""
    disk = root / "disk"
    try:
        with mounted(disk):
            folder = disk / "project"
            for fresh in (False, True):
                outcomes = [
                    with_free(project, folder, stage, free, fresh)
                    for stage in CHAIN
                    for free in sizes(project, stage, options)
                ]
                yield row(f"too little free on the disk{', the outs not there' if fresh else ''}", outcomes)
            yield row("a disk mounted read-only", [read_only(project, folder, stage) for stage in CHAIN])
    except PermissionError as error:
        yield Row("too little free on the disk", 0, f"not done: {error}")


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Mount a small disk in memory."""
    folder.mkdir()
    told = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if told.returncode:
        raise PermissionError(told.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def with_free(project: Path, folder: Path, stage: str, free: int, fresh: bool) -> str:
    filler = folder.parent / "filler"
    restore(project, folder, stage, fresh)
    filler.write_bytes(b"0" * max(0, shutil.disk_usage(folder).free - free))
    try:
        return outcome_of(project, folder, stage, NEEDS_SPACE, lambda: None)
    finally:
        filler.unlink()


def read_only(project: Path, folder: Path, stage: str) -> str:
    restore(project, folder, stage, fresh=False)
    remount(folder.parent, "ro")
    try:
        return outcome_of(project, folder, stage, NEEDS_WRITING, lambda: None)
    finally:
        remount(folder.parent, "rw")


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def file_limits(project: Path, root: Path, options: Options) -> Iterator[Row]:
    """A limit on the size of a file, as by ulimit -f."""
    folder = root / "limited"
    need = r"\S+ cannot be written: File too large; lift the limit"
    outcomes = []
    for stage in CHAIN:
        for size in sizes(project, stage, options):
            restore(project, folder, stage, fresh=True)
            within = limit(resource.RLIMIT_FSIZE, max(PAGE, size))
            outcomes.append(outcome_of(project, folder, stage, need, within))
    yield row("a limit on the size of files (RLIMIT_FSIZE)", outcomes)


def memory_limits(project: Path, root: Path, options: Options) -> Iterator[Row]:
    """A limit on memory, as by ulimit -v: so much more than the process has once its code is there."""
    folder = root / "small"
    outcomes = []
    for stage in CHAIN:
        for mebibytes in (0, 16) if options.quick else (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
            restore(project, folder, stage, fresh=True)
            outcomes.append(outcome_of(project, folder, stage, NEEDS_MEMORY, limit_memory(mebibytes * 2**20)))
    yield row("a limit on memory (RLIMIT_AS)", outcomes)


def modes(project: Path, root: Path, options: Options) -> Iterator[Row]:
    """Files and folders that may not be written or read, or are each other."""
    hindrances: list[tuple[str, Hinder, str]] = [
        ("a folder of its outs that may not be written (chmod 555)", out_folders_read_only, NEEDS_WRITING),
        ("no folder that may be written, the outs not there", all_folders_read_only, NEEDS_WRITING),
        ("its outs read-only (chmod 444), their folders not", outs_read_only, NEEDS_WRITING),
        ("a folder in the place of an out", folder_for_out, NEEDS_WRITING),
        ("a file in the place of an out's folder", file_for_folder, NEEDS_WRITING),
        ("an input that may not be read (chmod 000)", input_unreadable, NEEDS_READING),
        ("params.yaml that may not be read (chmod 000)", params_unreadable, NEEDS_READING),
    ]
    for what, hinder, need in hindrances:
        yield row(what, [hindered(project, root / "modes", stage, hinder, need) for stage in CHAIN])


def hindered(project: Path, folder: Path, stage: str, hinder: Hinder, need: str) -> str:
    """Run a stage where some files are no longer as they should be."""
    copied(project, folder)
    try:
        hinder(folder, stage)
        return outcome_of(project, folder, stage, need, without_privileges)
    finally:
        for path in [folder, *folder.rglob("*")]:  # top down: what is to be removed must be open
            path.chmod(0o755)


def without_privileges() -> None:
    """Let file modes count for root as well: give up all its capabilities, as capset(2) of Linux does."""
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(header, nothing):
        raise OSError("capset is not allowed")


def out_folders_read_only(folder: Path, stage: str) -> None:
    for file in outs_of(folder, stage):
        (folder / file).parent.chmod(0o555)


def all_folders_read_only(folder: Path, stage: str) -> None:
    remove_outs(folder, stage)
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)


def outs_read_only(folder: Path, stage: str) -> None:
    for file in outs_of(folder, stage):
        (folder / file).chmod(0o444)


def folder_for_out(folder: Path, stage: str) -> None:
    out = folder / list(outs_of(folder, stage))[-1]
    out.unlink()
    out.mkdir()


def file_for_folder(folder: Path, stage: str) -> None:
    out = folder / list(outs_of(folder, stage))[-1]
    if out.parent.name not in ("data", "metrics"):  # where others' files are as well
        shutil.rmtree(out.parent)
        out.parent.write_text("What is no folder.\n")


def input_unreadable(folder: Path, stage: str) -> None:
    image = "data/images/tiny/train/red/0.png"
    (folder / (inputs_of(folder, stage) or [image])[-1]).chmod(0)


def params_unreadable(folder: Path, stage: str) -> None:
    (folder / "params.yaml").chmod(0)


def limit(kind: int, count: int) -> Callable[[], None]:
    """Give what limits a process to so many bytes."""
    return lambda: resource.setrlimit(kind, (count, resource.getrlimit(kind)[1]))


def limit_memory(more: int) -> Callable[[], None]:
    """Give what limits a process to so many bytes more than it has."""

    def within() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + more)()

    return within


def sizes(project: Path, stage: str, options: Options) -> list[int]:
    """Bytes that may not be enough for a stage's outs: none, a page, and at random up to what they all need."""
    most = sum(map(len, outs_of(project, stage).values())) // PAGE + 1
    generator = np.random.default_rng([options.seed, CHAIN.index(stage)])
    return [PAGE * int(pages) for pages in (0, 1, *generator.integers(0, most, options.times(8)))]


def restore(project: Path, folder: Path, stage: str, fresh: bool) -> None:
    """Put all files back; or all but a stage's outs, which DVC removes before a stage."""
    copied(project, folder)
    if fresh:
        remove_outs(folder, stage)


def remove_outs(folder: Path, stage: str) -> None:
    for file in outs_of(folder, stage):
        (folder / file).unlink()


def outcome_of(project: Path, folder: Path, stage: str, need: str, within: Callable[[], object]) -> str:
    """Run a stage, and judge how it ended; what must not be is in capitals."""
    before, whole = everything(folder), everything(project)

    def begin() -> None:
        checkpoints.SECONDS_BETWEEN = 0
        within()

    ended = run(folder, stage, begin)
    after = everything(folder)
    if ended.code < 0:  # the next one that writes these files removes what a killed process had begun
        after = {name: content for name, content in after.items() if not name.endswith(".partial")}
    if any(after.get(name) != content for name, content in before.items()):
        return f"LOST RESULT: {stage}"
    if any(whole.get(name) != content for name, content in after.items() if name not in before):
        return f"HALF-WRITTEN: {stage}"
    if ended.code == 0:
        made = all(whole[name] == after.get(name) for name in outs_of(project, stage))
        return "made the same bytes as ever" if made else f"OUT NOT THERE: {stage}"
    if need == NEEDS_MEMORY and ended.code == -signal.SIGALRM:  # in Thread.start, which cannot be told to give up
        return "waited for ever for a thread that found no memory, all else whole"
    if need == NEEDS_MEMORY and died_in_library(ended):
        return "ended by a library that found no memory, in its own words, all else whole"
    if not ended.is_one_line:
        return f"TRACEBACK: {stage}: {ended.code} {ended.error[-600:]!r}"
    if not re.match(f"{stage}: {need}", ended.error):
        return f"NOT NAMED: {ended.error.strip()}"
    return "refused in one line, with the name and the need, all else whole"


def died_in_library(ended: Ended) -> bool:
    """Whether code that is not Python ended the process, or wrote more than the stage's one line."""
    return ended.code in (-signal.SIGABRT, -signal.SIGSEGV) or ended.error.startswith("Exception ignored in")


def row(what: str, outcomes: list[str]) -> Row:
    counts = Counter(outcome.split(": ")[0] for outcome in outcomes)
    for outcome in outcomes:
        if outcome.split(": ")[0].isupper():
            say(f"{outcome}, {what}")
    happened = "; ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    return Row(what, len(outcomes), happened, well=not any(outcome.isupper() for outcome in counts))
