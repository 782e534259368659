"""Stands in for the program of an image that cannot be had here: same port, same words, and it refuses what that would.

What it stands in for stands in /etc/stand-in.json (`tests.host.stand_in_image`). It says so at its start, and what it
was started with; it ends with a reason where the true program would not run: without a card or a model, or where it
cannot write its data.
"""

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tests.host.stand_in_services.service import asked, cards, refuse_what_the_true_one_would, say, serve

ABOUT = Path("/etc/stand-in.json")


def stop(*_: object) -> NoReturn:
    """Process 1 of a container has to say itself that it ends when asked to."""
    sys.exit(0)


def main() -> None:
    """Do as the image's program would with these words."""
    about = json.loads(ABOUT.read_text())
    if about["program"] == "ollama" and sys.argv[2:3] == ["list"]:
        sys.exit(not asked(f"http://127.0.0.1:{about['port']}").startswith("200"))
    say(f"{about['image']} is stood in for; started as {' '.join(sys.argv[1:])}")
    say(f"user {os.getuid()}:{os.getgid()}, cards: {' '.join(cards()) or 'none'}")
    for each in (signal.SIGTERM, signal.SIGWINCH):
        signal.signal(each, stop)
    refuse_what_the_true_one_would(about)
    if about["program"] == "web":
        serve(about)
    else:
        importlib.import_module(f"{__package__}.{about['program']}").run(about, sys.argv[1:])


if __name__ == "__main__":
    main()
