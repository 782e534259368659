"""Builds the simulated `libnvidia-ml.so.1` with this machine's C compiler."""

import inspect
import re
import shutil
import subprocess
from pathlib import Path

import pynvml

HERE = Path(__file__).parent
LIBRARY = "libnvidia-ml.so.1"
# What nvidia-smi asks and nvidia-ml-py does not: older forms of functions, mostly.
_ONLY_NVIDIA_SMI = (
    "nvmlDeviceGetAttributes",
    "nvmlDeviceGetGpuInstancePossiblePlacements",
    "nvmlDeviceGetGridLicensableFeatures",
    "nvmlDeviceGetGridLicensableFeatures_v4",
    "nvmlDeviceRemoveGpu_v2",
    "nvmlEventSetWait",
    "nvmlGetExcludedDeviceInfoByIndex",
    "nvmlVgpuInstanceGetLicenseInfo",
    "nvmlVgpuInstanceGetLicenseInfo_v2",
)


def compiler() -> str | None:
    """A C compiler's path, None where there is none."""
    return shutil.which("cc")


def build(folder: Path) -> Path:
    """Compile the library into `folder`; returns its path.

    A function that NVML has and the simulation has not answers NOT_SUPPORTED, as a real card does for what it cannot.
    """
    cc = compiler()
    assert cc, "no C compiler"
    sources = sorted(HERE.glob("*.c"))
    written = "".join(source.read_text() for source in sources)
    answered = set(re.findall(r"\b(nvml[A-Z]\w+)\(", written))
    known = set(re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', inspect.getsource(pynvml)))
    stubs = folder / "not_supported.c"
    lines = [
        '#include "card.h"',
        '#define STUB(name) __attribute__((visibility("default"))) int name(void) \\',
    ]
    lines.append("    { unanswered(#name); return NOT_SUPPORTED; }")
    lines += [f"STUB({name})" for name in sorted(known.union(_ONLY_NVIDIA_SMI) - answered)]
    stubs.write_text("\n".join(lines) + "\n")
    library = folder / LIBRARY
    options = ["-shared", "-fPIC", "-fvisibility=hidden", "-O1", "-Wall", "-Wextra", "-Wno-format-truncation"]
    files = [str(each) for each in (*sources, stubs)]
    subprocess.run(
        [cc, *options, f"-I{HERE}", f"-Wl,-soname,{LIBRARY}", "-o", str(library), *files], check=True
    )
    return library
