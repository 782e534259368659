"""Files that a person asked for: there whole, or as they were before."""

import os
from pathlib import Path

from labctl.errors import Failed


def write_whole(path: Path, text: str, what: str, *, private: bool = False) -> None:
    """Write the file by renaming it into its place, so that no half of one is ever there. Raises Failed.

    what: what the message calls it. private: only its owner may read it. A device or a pipe is written to as it is.
    """
    try:
        if path.is_dir():
            raise Failed(
                f"{what} cannot be written", where=str(path), found="a folder", expected="a file's name"
            )
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        # The file that a link points to is written, and the link stays.
        target = path.resolve()
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            mode = 0o600 if private else 0o666
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(text.encode())
                file.flush()
                # A rename alone does not last a power cut: the new name could hold nothing.
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"{what} cannot be written", where=str(path), found=error.strerror) from error
