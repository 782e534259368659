"""Packages that stand in for Debian's kernels: names, relations, files and hooks like theirs, and no kernel in them.

What dkms builds for one is built by the real headers that the host has.
"""

from tests.host.stand_in_repository import STAND_IN, StandIn

_SOURCE = {"Source": "linux-signed-amd64"}
_MAKEFILE = """# {stand_in}
modules clean:
	$(MAKE) -C /lib/modules/{real}/build M=$(M) $@
"""
FAULT = "stand-in.c:7:1: error: this stand-in of a kernel takes no module"
_FAULTY = f"""# {STAND_IN}
modules:
	@echo "{FAULT}"; exit 2
clean:
"""
_HOOKS = """#!/bin/sh
set -e
[ -d /etc/kernel/{folder} ] || exit 0
run-parts --report --exit-on-error --arg={release} --arg=/boot/vmlinuz-{release} /etc/kernel/{folder}
"""


def debian_kernel(
    release: str, real: str, *, builds: bool = True, installs: bool = True
) -> tuple[StandIn, ...]:
    """A kernel, its headers, and the metapackages that bring them.

    real: the release whose headers the host has. builds: modules build for it. installs: dpkg gets to the end of it.
    """
    version = f"{release.partition('+')[0]}-1+standin1"
    makefile = _MAKEFILE.format(stand_in=STAND_IN, real=real) if builds else _FAULTY
    folder = f"usr/lib/modules/{release}"
    return (
        StandIn(
            f"linux-image-{release}",
            version,
            {
                f"boot/vmlinuz-{release}": STAND_IN,
                f"{folder}/modules.order": "",
                f"{folder}/modules.builtin": "",
            },
            scripts={
                "postinst": _HOOKS.format(folder="postinst.d", release=release)
                + ("" if installs else f"echo '{STAND_IN}: cannot be installed' >&2; exit 1\n"),
                "prerm": _HOOKS.format(folder="prerm.d", release=release),
            },
            relations=_SOURCE,
        ),
        StandIn(
            f"linux-headers-{release}",
            version,
            {f"{folder}/build/Makefile": makefile, f"{folder}/build/include/generated/utsrelease.h": ""},
            depends=f"linux-headers-{real}",
            scripts={"postinst": _HOOKS.format(folder="header_postinst.d", release=release)},
            relations=_SOURCE,
        ),
        StandIn(
            "linux-image-amd64", version, depends=f"linux-image-{release} (= {version})", relations=_SOURCE
        ),
        StandIn(
            "linux-headers-amd64",
            version,
            depends=f"linux-headers-{release} (= {version})",
            relations=_SOURCE,
        ),
    )
