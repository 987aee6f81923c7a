"""Draws docs/images/screen.svg: the terminal of a real `drumvae-live --demo`, in its sixth bar.

Run: python docs/images/draw_screen.py (Linux or macOS; it takes as long as the demo, 16 seconds)
"""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sysconfig
import tempfile
import termios
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 80, 12
"""So few rows that voices without a hit are left out."""
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
FONT_FACE = re.compile(r" *@font-face \{.*?\}\n", re.DOTALL)
HOME = b"\x1b[H"
FRAME = re.compile(r"bar\s+6\.3")
"""The frame to draw: its transport line."""


def demo_frames() -> list[str]:
    """Returns every frame that the demo draws on a terminal."""
    program = shutil.which("drumvae-live", path=sysconfig.get_path("scripts")) or "drumvae-live"
    terminal, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--demo", "--seed", "7"]
        demo = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=environment)
        os.close(follower)
        output = bytearray()
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # Linux says so when the demo has ended
                break
            if not part:
                break
            output += part
        demo.wait()
    return [frame.decode("utf-8", "replace").replace("\r\n", "\n") for frame in bytes(output).split(HOME)]


def main() -> None:
    """Draws the first frame of the chosen bar."""
    frame = next(frame for frame in demo_frames() if FRAME.search(Text.from_ansi(frame).plain))
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(frame.rstrip()), soft_wrap=True)
    svg = console.export_svg(title="drumvae-live --demo", unique_id="screen")
    svg = FONT_FACE.sub("", svg).replace("Fira Code, monospace", FONTS)  # a picture that fetches nothing
    path = Path(__file__).with_name("screen.svg")
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")
    print(path)


if __name__ == "__main__":
    main()
