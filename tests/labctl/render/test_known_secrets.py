"""Which secrets a plan's workloads may take, given or not, and what is told of each."""

from labctl.edges import catalog
from labctl.plan.plan import Plan
from labctl.render.host import HostFacts
from labctl.render.known_secrets import given_to, known_secrets
from labctl.render.render import render
from tests.labctl.plan.plans import claims, host, plan, runs

SERVICES = {each.name: each for each in catalog.services()}


def home() -> Plan:
    return plan(
        {
            "files": runs("nextcloud"),
            "ui": runs("open-webui"),
            "pictures": runs("comfyui", cards=claims(first=8000)),
            "thing": runs("container", image="localhost/thing:1", secrets=("env.API_KEY",)),
            "elsewhere": runs("open-webui", host="attic"),
        },
        host("GPU-aaaaaaaa-0000-4000-8000-000000000000"),
        host(name="attic"),
    )


def test_every_secret_of_a_host_is_known_in_the_catalogues_words() -> None:
    known = known_secrets(home(), "aibox", SERVICES)
    assert {name: (each.workload, each.made) for name, each in known.items()} == {
        "files-db-password": ("files", "random"),
        "files-admin-password": ("files", "random"),
        "ui-secret-key": ("ui", "random"),
        "ui-admin-password": ("ui", "random"),
        "pictures-hf-token": ("pictures", "given"),
        "thing-env_API_KEY": ("thing", "written"),
    }
    assert known["ui-secret-key"].what == "signs sessions, so that a new one signs everybody out"
    assert (known["ui-secret-key"].changed_by, known["ui-secret-key"].characters) == ("restart", 48)
    assert known["files-db-password"].changed_by is None
    assert known["files-admin-password"].procedure == (
        "on the host, podman exec -it --user 33 labctl-files php occ user:resetpassword admin"
    )
    assert known["thing-env_API_KEY"].what == "API_KEY in its env of the workloads file"


def test_what_a_plan_needs_is_among_them() -> None:
    there = home()
    facts = HostFacts(secrets=frozenset({"pictures-hf-token"}))
    needed = {each.name for each in render(there, "aibox", SERVICES, facts).secrets}
    assert needed == set(known_secrets(there, "aibox", SERVICES))


def test_the_only_host_of_a_plan_goes_by_any_name() -> None:
    alone = plan({"ui": runs("open-webui")})
    assert set(known_secrets(alone, "@local", SERVICES)) == {"ui-secret-key", "ui-admin-password"}
    assert set(known_secrets(home(), "attic", SERVICES)) == {
        "elsewhere-secret-key",
        "elsewhere-admin-password",
    }
    assert known_secrets(home(), "@local", SERVICES) == {}


def test_a_service_that_the_catalogue_lacks_brings_none() -> None:
    assert known_secrets(plan({"ui": runs("of-a-newer-labctl")}), "aibox", SERVICES) == {}


def test_what_can_be_given_is_known_before_any_plan() -> None:
    found = given_to("my-pictures-hf-token", SERVICES)
    assert found is not None
    assert (found.workload, found.made) == ("my-pictures", "given")
    assert given_to("my-pictures-hf-tokem", SERVICES) is None
    assert given_to("files-db-password", SERVICES) is None
    assert given_to("-hf-token", SERVICES) is None
    assert given_to("hf-token", SERVICES) is None
