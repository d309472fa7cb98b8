"""Stand-ins for SLURM's commands, as far as submitit uses them: a job is a process that this file watches over.

Called by the name of the command, from a folder that is named by SLURM_STAND_IN, where each job has a folder:
the script, the watcher's process, and the state. Signals reach all processes of a job, as SLURM's do.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

PLACE = Path(os.environ["SLURM_STAND_IN"])


def sbatch(script: str) -> None:
    number = str(len([*PLACE.glob("[0-9]*")]) + 1)
    (PLACE / number).mkdir()
    (PLACE / number / "script").write_text(Path(script).read_text(encoding="utf-8"), encoding="utf-8")
    # With pipes of its own: submitit reads until the other end of sbatch's is closed.
    watcher = subprocess.Popen(
        [sys.executable, __file__, "watch", number],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (PLACE / number / "watcher").write_text(str(watcher.pid), encoding="utf-8")
    print(f"Submitted batch job {number}")


def watch(number: str) -> None:
    """Run the job's script, and run it again for as long as it is queued again."""
    folder, queued_again = PLACE / number, []

    def queue_again(*_: object) -> None:
        queued_again.append(True)
        signal_job(os.getpid(), signal.SIGKILL)

    signal.signal(signal.SIGUSR1, queue_again)
    environment = os.environ | {"SLURM_JOB_ID": number, "SLURM_PROCID": "0", "SLURM_CPUS_PER_TASK": "1"}
    while True:
        (folder / "state").write_text("RUNNING", encoding="utf-8")
        status = subprocess.run(["bash", folder / "script"], env=environment).returncode
        if not queued_again:
            break
        queued_again.clear()
    (folder / "state").write_text("FAILED" if status else "COMPLETED", encoding="utf-8")


def srun(*arguments: str) -> None:
    place = arguments.index("--output")
    output = arguments[place + 1].replace("%j", os.environ["SLURM_JOB_ID"]).replace("%t", "0")
    with open(output, "ab") as log:
        sys.exit(subprocess.run(arguments[place + 2 :], stdout=log, stderr=log).returncode)


def sacct(*arguments: str) -> None:
    print("JobID|State|NodeList")
    for number in (value for flag, value in zip(arguments, arguments[1:], strict=False) if flag == "-j"):
        print(f"{number}|{(PLACE / number / 'state').read_text(encoding='utf-8')}|here")


def scancel(number: str, *how: str) -> None:
    watcher = int((PLACE / number / "watcher").read_text(encoding="utf-8"))
    if how:
        signal_job(watcher, signal.Signals[how[1] if how[1].startswith("SIG") else f"SIG{how[1]}"], step_alone=True)
    elif psutil.pid_exists(watcher):
        (PLACE / number / "state").write_text("CANCELLED", encoding="utf-8")
        os.kill(watcher, signal.SIGSTOP)  # lest it writes another state
        signal_job(watcher, signal.SIGKILL)
        os.kill(watcher, signal.SIGKILL)


def scontrol(command: str, number: str) -> None:
    assert command == "requeue"
    os.kill(int((PLACE / number / "watcher").read_text(encoding="utf-8")), signal.SIGUSR1)


def signal_job(watcher: int, number: int, step_alone: bool = False) -> None:
    """Send a signal to all processes of a job, or to those alone that srun has started."""
    processes = psutil.Process(watcher).children(recursive=True)
    if step_alone:
        processes = [process for process in processes if not re.search(r"/script|srun", " ".join(process.cmdline()))]
    for process in processes:
        if process.is_running():
            process.send_signal(number)


if __name__ == "__main__":
    name = Path(sys.argv[0]).stem
    command, *arguments = sys.argv[1:] if name == "slurm" else [name, *sys.argv[1:]]
    globals()[command](*arguments)
