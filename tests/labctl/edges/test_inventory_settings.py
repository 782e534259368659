"""Inventory data: a typo is an error that names its place, never a silent None."""

from typing import Any

import pytest

from labctl.edges.bundle import deploy_file
from labctl.edges.inventory_settings import may_speak_of_roles, models_folder, names, settings
from labctl.edges.pyinfra_roles import roles_of
from labctl.errors import BAD_INPUT, BadInput
from labctl.render.host import MODELS
from roles.base.deploy import base
from roles.base.settings import BaseSettings
from roles.firewall.deploy import firewall
from roles.podman.deploy import podman

_ROLES = (base.role, firewall.role, podman.role)


def _settings(**data: Any) -> dict[str, Any]:
    return settings("inventory: aibox", data, _ROLES)


def test_nothing_said_is_the_default() -> None:
    assert _settings()["base"] == BaseSettings()


def test_data_without_a_word_of_roles_needs_none_of_them() -> None:
    plain = {"ssh_user": "lab", "_sudo": True, "x_rack": "left", "models_folder": "/srv/models"}
    assert not may_speak_of_roles(plain)
    for other in ("base", "bsae", "shh_user", "only", "skip", "firewall_confirmed"):
        assert may_speak_of_roles({**plain, other: {}}), other


@pytest.mark.parametrize("file", ["gpu_host.py", "update_host.py"])
def test_every_role_runs_without_a_word_about_it(file: str) -> None:
    roles = roles_of(deploy_file(file))
    assert roles
    assert set(settings("inventory: aibox", {"ssh_user": "lab"}, roles)) == {role.name for role in roles}


def test_pyinfras_own_keys_labctls_options_and_the_readers_own_are_known() -> None:
    _settings(ssh_user="lab", ssh_key="k", _sudo=True, only="base", skip=["podman"], x_rack="left")


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        ({"bsae": {}}, "aibox.bsae", "did you mean base"),
        ({"shh_user": "lab"}, "aibox.shh_user", "did you mean ssh_user"),
        ({"base": {"journald_maxuse": "1G"}}, "aibox.base.journald_maxuse", "did you mean journald_max_use"),
        ({"base": {"journald_max_use": "lots"}}, "aibox.base.journald_max_use", "nothing was changed"),
        (
            {"base": {"sysctls": {"vm.swappiness": "high"}}},
            "aibox.base.sysctls.vm.swappiness",
            "nothing was changed",
        ),
        ({"base": ["curl"]}, "aibox.base", None),
        (
            {"firewall": {"exposed": [{"port": 70000}]}},
            "aibox.firewall.exposed.0.port",
            "nothing was changed",
        ),
        (
            {"firewall": {"exposed": [{"port": 1, "from": ["lan"]}]}},
            "aibox.firewall.exposed.0.from.0",
            "nothing",
        ),
    ],
)
def test_a_mistake_names_its_place_and_what_to_do(
    data: dict[str, Any], where: str, words: str | None
) -> None:
    with pytest.raises(BadInput) as refused:
        _settings(**data)
    assert refused.value.exit_code == BAD_INPUT
    assert where in str(refused.value.where)
    assert refused.value.found
    assert refused.value.expected
    assert words is None or words in str(refused.value.hint)


@pytest.mark.parametrize(
    "folder", ["srv/models", "/srv", "/srv/my models", "/srv/../etc", "/srv/a:b", 7, "/"]
)
def test_a_folder_of_models_that_cannot_be_used_is_refused(folder: object) -> None:
    _settings(models_folder="/data/models")
    with pytest.raises(BadInput) as refused:
        _settings(models_folder=folder)
    assert refused.value.where == "inventory: aibox.models_folder"
    assert "/srv/models" in str(refused.value.expected)


def test_the_folder_of_models_has_one_default() -> None:
    assert models_folder("inventory: aibox", {}) == MODELS
    assert models_folder("inventory: aibox", {"models_folder": "/data/models"}) == "/data/models"


_LOGIN = {"registry": "ghcr.io", "username": "me"}


@pytest.mark.parametrize(
    "data",
    [
        {"logins": [{**_LOGIN, "password": "hunter2"}]},
        {"logins": [{**_LOGIN, "passwrd": "hunter2"}]},
        {"logins": [{**_LOGIN, "password": ["hunter2"]}]},
        {"logins": {**_LOGIN, "password": "hunter2"}},
        ["hunter2"],
    ],
)
def test_what_may_be_a_secret_is_not_repeated(data: object) -> None:
    with pytest.raises(BadInput) as refused:
        _settings(podman=data)
    assert "hunter2" not in str(refused.value) + str(refused.value.to_json())


def test_a_password_in_plain_sight_is_told_where_to_go() -> None:
    with pytest.raises(BadInput) as refused:
        _settings(podman={"logins": [{**_LOGIN, "password": "hunter2"}]})
    assert refused.value.where == "inventory: aibox.podman.logins.0.password"
    assert 'Secret.env("NAME")' in str(refused.value.expected)


def test_only_and_skip_as_people_write_them() -> None:
    assert names("base, firewall,") == ("base", "firewall")
    assert names(["base"]) == ("base",)
    assert names(None) == ()
