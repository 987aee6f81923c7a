"""Measures how late plain programs wake from sleeping to deadlines on this machine, as a reference for other timings.

A C program (sleeper.c, compiled with cc; bash where there is no compiler) sleeps to every deadline with ordinary priority. A second one
does so with real-time priority, where the system grants it.
"""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
BASH = (
    "while read -r due; do left=$((due - ${EPOCHREALTIME/[.,]/}));"
    ' ((left > 0)) && sleep "$((left / 1000000)).$(printf %06d $((left % 1000000)))";'
    ' echo "$((${EPOCHREALTIME/[.,]/} - due))000"; done'
)
Late = NDArray[np.float64]
"""Milliseconds."""


def start_sleepers(folder: Path, due_s: Sequence[float]) -> dict[str, "subprocess.Popen[str]"]:
    """Starts the programs that this machine can run, each with every deadline on its standard input."""
    program = folder / "sleeper"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler:
        subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "sleeper.c")], check=True)
        lines = [f"{int(at_s * 1e9)}\n" for at_s in due_s]
        commands = {"C sleeper, ordinary priority": [str(program)], "C sleeper, real-time priority": [str(program), "fifo"]}
    elif shutil.which("bash"):
        epoch_s = time.time() - time.perf_counter()
        lines = [f"{int((at_s + epoch_s) * 1e6)}\n" for at_s in due_s]
        commands = {"bash sleeper": ["bash", "-c", BASH]}
    else:
        print("There is neither a C compiler nor bash here: the performer is measured without a reference.")
        return {}
    return {name: _start(command, "".join(lines)) for name, command in commands.items()}


def _start(command: Sequence[str], text: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    try:
        process.stdin.write(text)
        process.stdin.close()
    except BrokenPipeError:  # real-time priority was refused
        process.stdin = None
    return process


def lateness(process: "subprocess.Popen[str]") -> Late:
    """Waits until a program exits and returns its lateness at each deadline in milliseconds; (n,), empty if it could not run."""
    assert process.stdout
    with process:
        return np.array([int(line) / 1e6 for line in process.stdout])
