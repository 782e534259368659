import pytest

from labctl.cli.options import comma_separated, key_values
from labctl.errors import BadInput


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, ()),
        (["base"], ("base",)),
        (["base,firewall", "podman"], ("base", "firewall", "podman")),
        (["base, firewall,"], ("base", "firewall")),
    ],
)
def test_roles_and_hosts_are_separated_by_commas(given: list[str] | None, meant: tuple[str, ...]) -> None:
    assert comma_separated(given) == meant


def test_settings_are_split_at_the_first_equals_sign() -> None:
    assert key_values(["a=1", "b=x=y", "c="]) == (("a", "1"), ("b", "x=y"), ("c", ""))
    assert key_values(None) == ()


@pytest.mark.parametrize("pair", ["a", "=1", ""])
def test_a_setting_needs_a_key_and_an_equals_sign(pair: str) -> None:
    with pytest.raises(BadInput, match=r"--data: not a setting \(found '.*', expected KEY=VALUE\)"):
        key_values([pair])
