"""The checks of the podman role, on what Podman said on a good host and on wrong ones."""

import copy
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from labctl.secret import Secret
from roles.podman import checks
from roles.podman.settings import PodmanSettings, RegistryLogin, RegistryMirror
from tests.roles.recorded_host import Answer, recorded_host

_INFO: dict[str, Any] = {
    "host": {"logDriver": "journald"},
    "store": {"graphRoot": "/srv/containers", "graphDriverName": "overlay"},
    "registries": {
        "search": ["docker.io"],
        "docker.io": {"Mirrors": [{"Location": "nas.home:5000", "Insecure": True}]},
    },
}
_QUADLET = """quadlet-generator[1]: Loading source unit file /tmp/x/probe.container
---probe.service---
[Service]
ExecStart=/usr/bin/podman run --name probe --device nvidia.com/gpu=0 localhost/probe:1

"""
GOOD: dict[str, Answer] = {
    "podman version": "5.4.2\n",
    "dpkg --compare-versions": "",
    "podman-system-generator --dryrun": _QUADLET,
    "test -e /etc/containers/labctl-auth.json": (1, "", ""),
    "stat -c '%a %U' /etc/containers/labctl-auth.json": "600 root\n",
    "podman login --get-login ghcr.io": "me\n",
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": "active\n",
    "systemctl show -p TimersCalendar": "{ OnCalendar=Mon *-*-* 00:00:00 ; next_elapse=n/a }\n",
    "systemd-analyze calendar weekly": "  Original form: weekly\nNormalized form: Mon *-*-* 00:00:00\n",
    "systemctl show -p Result": "success\n",
    "podman network create": "10.89.0.2 labctl-check-1\n",
}
SETTINGS = PodmanSettings(
    storage="/srv/containers",
    mirrors=(RegistryMirror(registry="docker.io", mirror="nas.home:5000", insecure=True),),
)
LOGIN = PodmanSettings(
    logins=(RegistryLogin(registry="ghcr.io", username="me", password=Secret.env("GHCR_TOKEN")),)
)
CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]


def run(
    check: Callable[..., None],
    answers: Mapping[str, Answer],
    info: Mapping[str, Any] = _INFO,
    settings: PodmanSettings = SETTINGS,
) -> None:
    fixtures = {"host": recorded_host({**GOOD, **answers}), "settings": settings, "info": info}
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


def info(**changed: dict[str, Any]) -> dict[str, Any]:
    """Podman's words with some of them changed."""
    words = copy.deepcopy(_INFO)
    for key, values in changed.items():
        words[key].update(values)
    return words


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None]) -> None:
    run(check, {})


@pytest.mark.parametrize(
    ("check", "answers", "message"),
    [
        (checks.test_version, {"dpkg --compare-versions": (1, "", "")}, "Podman is 5.4.2, older than 4.9"),
        (checks.test_version, {"podman version": (127, "", "sh: 1: podman: not found")}, "podman: not found"),
        (
            checks.test_quadlet,
            {"podman-system-generator --dryrun": (1, "", "unsupported key 'AddDevice' in group 'Container'")},
            "unsupported key 'AddDevice'",
        ),
        (checks.test_quadlet, {"podman-system-generator --dryrun": ""}, "makes no service"),
        (
            checks.test_quadlet,
            {"podman-system-generator --dryrun": _QUADLET.replace("--device nvidia.com/gpu=0 ", "")},
            "loses its device",
        ),
        (
            checks.test_quadlet,
            {"podman-system-generator --dryrun": _QUADLET + "ExecStart=/bin/false\n"},
            "2 ExecStart lines",
        ),
        (
            checks.test_pruning,
            {"systemctl is-enabled": (1, "disabled\n", "")},
            "labctl-prune-images.timer is disabled and active",
        ),
        (checks.test_pruning, {"systemctl is-active": (3, "inactive\n", "")}, "enabled and inactive"),
        (
            checks.test_pruning,
            {"systemctl show -p TimersCalendar": "{ OnCalendar=*-*-* 00:00:00 ; next_elapse=n/a }\n"},
            r"not Mon \*-\*-\* 00:00:00",
        ),
        (checks.test_pruning, {"systemctl show -p Result": "exit-code\n"}, "ended with exit-code"),
        (
            checks.test_names_in_containers,
            {"podman network create": (1, "", "x\nits resolver does not answer (exit status 124)")},
            "its resolver does not answer",
        ),
    ],
)
def test_a_wrong_host_fails(check: Callable[..., None], answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


@pytest.mark.parametrize(
    ("check", "said", "message"),
    [
        (
            checks.test_storage,
            info(store={"graphRoot": "/var/lib/containers/storage"}),
            "not /srv/containers",
        ),
        (checks.test_storage, info(store={"graphDriverName": "vfs"}), "vfs, not overlay"),
        (checks.test_registries, info(registries={"search": ["quay.io"]}), "in quay.io, not docker.io"),
        (checks.test_registries, info(registries={"search": None}), "in nothing, not docker.io"),
        (checks.test_registries, info(registries={"docker.io": {"Mirrors": None}}), "without nas.home:5000"),
        (
            checks.test_registries,
            info(registries={"docker.io": {"Mirrors": [{"Location": "nas.home:5000", "Insecure": False}]}}),
            "without nas.home:5000",
        ),
        (checks.test_logs, info(host={"logDriver": "k8s-file"}), "k8s-file, not journald"),
    ],
)
def test_what_podman_says_counts(check: Callable[..., None], said: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, {}, said)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"stat -c '%a %U' /etc/containers/labctl-auth.json": "644 root\n"}, "644 root, not 600 root"),
        ({"podman login --get-login ghcr.io": (125, "", "Error: not logged into ghcr.io")}, "none, not me"),
        ({"podman login --get-login ghcr.io": "you\n"}, "you, not me"),
    ],
)
def test_logins_count(answers: dict[str, Answer], message: str) -> None:
    run(checks.test_logins, {}, settings=LOGIN)
    with pytest.raises(AssertionError, match=message):
        run(checks.test_logins, answers, settings=LOGIN)


def test_a_login_left_behind_is_seen() -> None:
    with pytest.raises(AssertionError, match="the inventory has no login"):
        run(checks.test_logins, {"test -e /etc/containers/labctl-auth.json": ""})


def test_what_podman_says_is_asked_of_podman() -> None:
    host = recorded_host({"podman info --format json": json.dumps(_INFO)})
    assert inspect.unwrap(checks.info)(host) == _INFO


def test_every_check_was_seen_failing() -> None:
    tests = (test_a_wrong_host_fails, test_what_podman_says_counts)
    marks = [mark for test in tests for mark in test.pytestmark if mark.name == "parametrize"]
    seen = {case[0] for mark in marks for case in mark.args[1]} | {checks.test_logins}
    assert seen == set(CHECKS)
