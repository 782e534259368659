"""Parts of labctl as one file that Python runs, for a host on which no more is to be installed than that."""

import io
import zipfile
from pathlib import Path

import labctl

_ROOT = Path(labctl.__file__).parent
# The earliest time that a zip file knows; with it the same sources always make the same bytes.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def zipped_program(package: str, beside: tuple[str, ...]) -> bytes:
    """A zip file that runs `main` of labctl.PACKAGE.program. beside: further files of labctl that it imports."""
    content = io.BytesIO()
    content.write(b"#!/usr/bin/python3 -IS\n")
    main = f"import sys\nfrom labctl.{package}.program import main\nsys.exit(main())\n"
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        files = {f"labctl/{name}": (_ROOT / name).read_bytes() for name in ("__init__.py", *beside)}
        files |= {
            f"labctl/{package}/{path.name}": path.read_bytes() for path in (_ROOT / package).glob("*.py")
        }
        for name, text in sorted({"__main__.py": main.encode(), **files}.items()):
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()
