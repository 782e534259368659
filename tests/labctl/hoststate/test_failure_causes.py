"""What failed commands print, recorded, and what a person is told instead."""

import pytest

from labctl.hoststate.failure_causes import explain

_NO_ROUTE = """Err:4 http://archive.example/debian trixie Release
  Cannot initiate the connection to archive.example:80 (203.0.113.80). - connect (101: Network is unreachable)
E: The repository 'http://archive.example/debian trixie Release' does not have a Release file."""
_NO_ROUTE_END = _NO_ROUTE.partition("\n")[2]
_PROXY = """Err:1 http://archive.example/debian trixie InRelease
  Unable to connect to proxy.example:3128:
E: Some index files failed to download."""
_NO_NAME = """Err:1 http://archive.example/debian trixie InRelease
  Temporary failure resolving 'archive.example'
E: Some index files failed to download."""
_DROPPED = (
    "E: Failed to fetch http://archive.example/debian/pool/main/j/jq.deb  Could not connect to archive.example:80 "
    "(203.0.113.80), connection timed out"
)
_FULL = """dpkg: error processing archive /var/cache/apt/archives/podman.deb (--unpack):
 cannot copy extracted data for './usr/bin/crun' to '/usr/bin/crun.dpkg-new': failed to write (No space left on device)
E: Sub-process /usr/bin/dpkg returned an error code (1)"""

_SHA1 = """Err:1 https://archive.example/debian ./ InRelease
  Sub-process /usr/bin/sqv returned an error code (1), error message is: Signing key on C0B06F is not bound: \
           No binding signature at time 2026-11-21T13:28:57Z   because: Policy rejected non-revocation signature \
(PositiveCertification) requiring second pre-image resistance   because: SHA1 is not considered secure since 2026-02-01
Reading package lists...
W: OpenPGP signature verification failed: https://archive.example/debian ./ InRelease: Sub-process /usr/bin/sqv \
returned an error code (1), error message is: Signing key on C0B06F is not bound:            No binding signature at \
time 2026-11-21T13:28:57Z   because: SHA1 is not considered secure since 2026-02-01"""


@pytest.mark.parametrize(
    ("output", "message", "found"),
    [
        (_NO_ROUTE, "does not reach its package archive", "Network is unreachable"),
        (_NO_NAME, "finds no address", "archive.example"),
        (_DROPPED, "does not reach its package archive", "connection timed out"),
        (_NO_ROUTE_END, "does not reach its package archive", "Network is unreachable"),
        (_PROXY, "does not reach its package archive", "Unable to connect to proxy.example:3128"),
        (_FULL, "the disk ran full", "No space left on device"),
        (
            "E: You don't have enough free space in /var/cache/apt/archives/.",
            "the disk ran full",
            "free space",
        ),
        ("sed: couldn't flush /etc/sedx: Read-only file system", "can only be read", "Read-only"),
        ("E: Unable to locate package jqq", "no archive has a package", "jqq"),
        ("E: Package 'steam' has no installation candidate", "no archive has a package", "steam"),
        (
            "E: Could not get lock /var/lib/dpkg/lock. It is held by process 5 (dpkg)",
            "another package manager",
            "process 5 (dpkg)",
        ),
        (
            "dpkg: error: dpkg frontend lock was locked by apt-get process with pid 7",
            "another package manager",
            "pid 7",
        ),
        (
            "E: Release file for http://archive.example/dists/trixie/InRelease is not valid yet (invalid for 1d)",
            "clock",
            "not valid yet",
        ),
        (
            "labctl: the kernel module does not build for 6.12.117+deb13-amd64: nv-pci.c:291:9: error: too few",
            "does not build for the kernel that boots next",
            "6.12.117+deb13-amd64: nv-pci.c:291:9: error: too few",
        ),
        (
            "labctl: the kernel module does not build for 6.12: cc1: error: /tmp/x.s: No space left on device",
            "the disk ran full",
            "No space left on device",
        ),
        (
            "Error! Bad return status for module build on kernel: 6.12.117+deb13-amd64 (x86_64)\nnot repaired: x-dkms",
            "installed before does not build",
            "6.12.117+deb13-amd64",
        ),
        (
            "labctl: after the reboot the loaded module is none, the installed one 550.163.01 proprietary",
            "did not load the driver",
            "the loaded module is none",
        ),
        (
            "labctl: dpkg cannot finish x-dkms: nv-pci.c:291:9: error: too few arguments\nE: held",
            "neither be finished nor repaired",
            "x-dkms: nv-pci.c:291:9: error: too few arguments",
        ),
        (
            "E: Held packages were changed and -y was used without --allow-change-held-packages.",
            "apt holds a package",
            "Held packages",
        ),
        (
            "E: Unable to locate package linux-headers-6.18.44-custom",
            "no headers for the kernel that boots next",
            "6.18.44-custom",
        ),
        (_SHA1, "bound by SHA-1", "https://archive.example/debian"),
        (_SHA1.splitlines()[-1], "bound by SHA-1", "https://archive.example/debian"),
        ("labctl: the key of https://x/ is BB and not AA", "not the one that is known", "is BB and not AA"),
        (
            "Signing key on EB69 is not bound: No binding signature because: SHA1 is not considered secure",
            "bound by SHA-1",
            "No binding signature",
        ),
        ("W: GPG error: http://x InRelease: NO_PUBKEY 0123ABCD", "not signed by a key", "NO_PUBKEY 0123ABCD"),
    ],
)
def test_a_known_cause_is_one_line_that_says_what_to_do(output: str, message: str, found: str) -> None:
    cause = explain(output.splitlines())
    assert cause is not None
    assert message in cause.message
    assert found in (cause.found or "")
    assert cause.hint
    assert "\n" not in str(cause)


@pytest.mark.parametrize("output", ["", "podman: exit 125", "curl: (7) Connection refused by localhost:8080"])
def test_what_is_not_known_is_left_as_it_is(output: str) -> None:
    assert explain(output.splitlines()) is None
