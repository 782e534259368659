"""Moving kernel and driver: what apt says it would do, what is made of that, and what stands in the way."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from labctl.driver import report
from labctl.driver.host import DriverHost
from labctl.edges.bundle import deploy_file
from labctl.edges.pyinfra_roles import refuse_bad_data, roles_of
from labctl.errors import BadInput, Failed
from labctl.hoststate.failure_causes import explain
from labctl.hoststate.observation import Observations
from labctl.hoststate.packages import PackageHealth
from labctl.hoststate.reboot import Rebooting
from labctl.hoststate.resource import Pending
from labctl.hoststate.survey import Probes, script
from roles.base.held_packages import HELD_PACKAGES
from roles.host_update import archives
from roles.host_update.booted import Booted, Rebooted
from roles.host_update.deploy import host_update
from roles.host_update.moved import KernelAndDriver
from roles.host_update.plan import Plan, image_release, plan
from roles.host_update.settings import HostUpdateSettings
from roles.nvidia_driver.settings import NvidiaDriverSettings
from tests.roles.gpu_host import SIGNED, TWO_3090
from tests.roles.host_facts import host_facts
from tests.roles.test_module_scripts import body

HOST = report.parse(TWO_3090.driver_report)
BOOTS = HOST.next_boot.release
NEXT = "6.12.110+deb13-amd64"
KERNEL = f"""Inst linux-image-{NEXT} (6.12.110-1 Debian:13.2/stable [amd64])
Inst linux-image-amd64 [6.12.107-1] (6.12.110-1 Debian:13.2/stable [amd64])
Inst linux-headers-{NEXT} (6.12.110-1 Debian:13.2/stable [amd64]) []
Inst linux-headers-amd64 [6.12.107-1] (6.12.110-1 Debian:13.2/stable [amd64])
"""
DRIVER = """Inst nvidia-kernel-dkms [550.163.01-2] (550.163.02-1 Debian:13.2/stable [amd64])
Inst libcuda1 [550.163.01-2] (550.163.02-1 Debian:13.2/stable [amd64])
"""


def said(simulated: str = KERNEL + DRIVER, *, status: int = 0, kept: str = "", builds: bool = True) -> str:
    return (
        "@labctl fetched 0\n\n"
        f"@labctl kept {kept}\n@labctl driver libcuda1 nvidia-kernel-dkms\n"
        + ("@labctl builds\n" if builds else "")
        + f"@labctl simulated {status}\n{simulated}"
    )


def planned(text: str, host: DriverHost = HOST) -> Plan:
    made = plan(archives.parse(text), host)
    assert made
    return made


def seen(text: str, driver_report: str = TWO_3090.driver_report) -> Observations:
    return Observations(texts={"what the archives offer": text, "driver survey": driver_report})


def test_what_is_new_and_the_driver_come_before_what_follows_the_kernel_by_its_name() -> None:
    made = planned(said())
    assert made.kernels == (NEXT,)
    assert [each.name for each in made.first] == [
        *(f"linux-image-{NEXT}", f"linux-headers-{NEXT}"),
        *("nvidia-kernel-dkms", "libcuda1"),
    ]
    assert [each.name for each in made.then] == ["linux-image-amd64", "linux-headers-amd64"]
    assert [each.name for each in made.trial] == [
        *("linux-image-amd64", f"linux-headers-{NEXT}", "linux-headers-amd64"),
        "nvidia-kernel-dkms",
    ]
    assert made.words(BOOTS) == f"kernel {BOOTS} → {NEXT}, driver 550.163.01 → 550.163.02, 6 packages"


def test_what_moves_beside_the_driver_is_no_driver_that_leaves_its_branch() -> None:
    common = "Inst nvidia-kernel-common [20240109+1] (20250801+deb13u1 Debian:13 [amd64])\n"
    assert planned(said(common + DRIVER)).words(BOOTS).startswith("driver 550.163.01 → 550.163.02")


def test_a_driver_alone_is_built_for_the_kernel_that_is_there() -> None:
    made = planned(said(DRIVER))
    assert (made.kernels, made.then) == ((BOOTS,), ())
    assert made.trial
    assert made.words(BOOTS) == "driver 550.163.01 → 550.163.02, 2 packages"


def test_nothing_is_built_where_nothing_was_built_or_can_be() -> None:
    assert planned(said(KERNEL, builds=False)).trial == ()
    rest = planned(said("Inst linux-headers-amd64 [6.12.107-1] (6.12.110-1 Debian:13 [amd64])\n"))
    assert rest.trial == ()
    assert rest.words(BOOTS) == "1 package: linux-headers-amd64"


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("linux-image-6.1.0-30-amd64", "6.1.0-30-amd64"),
        ("linux-image-unsigned-6.8.0-90-generic", "6.8.0-90-generic"),
        ("linux-image-6.1.0-30-amd64-dbg", None),
        ("linux-image-amd64", None),
        ("linux-headers-6.1.0-30-amd64", None),
    ],
)
def test_which_package_is_a_kernel(name: str, release: str | None) -> None:
    assert image_release(name) == release


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (said(kept="linux-image-amd64 zfs-dkms"), "apt holds linux-image-amd64, and"),
        (said(KERNEL + "Remv nvidia-smi [550.163.01-2]\n"), "apt would remove nvidia-smi"),
        (said(DRIVER.replace("(550.163.02", "(580.1")), "would leave its branch: 550.163.01 → 580.1"),
        (said("E: Unable to locate package linux-headers-9\n", status=100), "apt cannot move.*headers-9"),
        ("@labctl fetched 100\nE: Unable to lock\n", "lists cannot be fetched.*Unable to lock"),
        ("@labctl fetched 100\nErr:1 http://x\nE: No route to host\n", "does not reach its package archive"),
    ],
)
def test_what_stands_in_the_way_is_said(text: str, words: str) -> None:
    with pytest.raises(Failed, match=words):
        planned(text)


def test_a_full_boot_is_seen_before_anything_moves() -> None:
    with pytest.raises(Failed, match="/boot has 10 MiB"):
        planned(said(), replace(HOST, boot_free_mib=10))


def test_a_kernel_without_a_ready_made_module_waits_for_it() -> None:
    host = report.parse(SIGNED.driver_report)
    module = "linux-modules-nvidia-580-server-open"
    there = replace(
        host,
        packages=(*host.packages, replace(host.packages[0], name=f"{module}-{host.next_boot.release}")),
    )
    image = "Inst linux-image-6.8.0-99-generic (6.8.0-99.1 Ubuntu:24.04 [amd64])\n"
    with pytest.raises(Failed, match=r"no ready-made module of the driver for 6\.8\.0-99-generic yet"):
        planned(said(image, builds=False), there)
    both = planned(
        said(f"{image}Inst {module}-6.8.0-99-generic (6.8.0 Ubuntu [amd64])\n", builds=False), there
    )
    assert {each.name for each in both.first} == {
        "linux-image-6.8.0-99-generic",
        f"{module}-6.8.0-99-generic",
    }
    assert planned(said(image, builds=False), host).then == ()


def test_nothing_to_move_is_nothing_to_do() -> None:
    one = KernelAndDriver(driver=True)
    assert one.compare(seen(said("")), Pending()) is None
    assert one.compare(seen(""), Pending()) is None  # neither kernel nor driver is a package here


@pytest.mark.parametrize("text", ["@labctl busy\n", "@labctl fetched 100\nE: Could not get lock /x\n"])
def test_while_packages_are_installed_nothing_is_known(text: str) -> None:
    difference = KernelAndDriver(driver=True).compare(seen(text), Pending())
    assert difference
    assert difference.certainty == "possible"


def test_nothing_is_done_while_somebody_else_is_at_it() -> None:
    with pytest.raises(Failed, match="somebody else"):
        KernelAndDriver(driver=True).action(seen("@labctl busy\n"))


def test_a_trial_comes_before_the_first_package() -> None:
    text = body(KernelAndDriver(driver=True).action(seen(said())).script)
    order = [
        text.index(words)
        for words in ("move --download-only", "dkms build", "move install", "--only-upgrade")
    ]
    assert order == sorted(order)
    assert f"linux-image-{NEXT}=6.12.110-1" in text
    assert 'old="nvidia-kernel-dkms=550.163.01-2 libcuda1=550.163.01-2"' in text
    assert f'new="linux-image-{NEXT} linux-headers-{NEXT}"' in text


def test_without_new_packages_none_are_taken_out() -> None:
    text = body(KernelAndDriver(driver=True).action(seen(said(DRIVER))).script)
    assert 'new=""' in text
    assert '[ -z "$new" ] ||' in text


def test_only_what_is_new_is_taken_out_by_its_name() -> None:
    meta = "linux-modules-nvidia-580-server-open-generic"
    moves = f"{KERNEL}Inst {meta} [6.8.0-88] (6.8.0-99 Ubuntu:24.04 [amd64])\n"
    text = body(KernelAndDriver(driver=True).action(seen(said(moves, builds=False))).script)
    assert f'new="linux-image-{NEXT} linux-headers-{NEXT}"' in text
    assert f'old="{meta}=6.8.0-88"' in text


def test_the_driver_of_somebody_else_stays() -> None:
    assert "grep '^kernel '" in archives.asking(driver=False)
    assert "grep '^kernel '" not in archives.asking(driver=True)


def _scripts() -> Iterator[str]:
    for driver in (NvidiaDriverSettings(), NvidiaDriverSettings(reboot=False, manage=False)):
        for each in host_update.role.resources(HostUpdateSettings(), host_facts(), driver):
            yield script(each.probes())
            if isinstance(each, PackageHealth):
                continue
            action = each.action(seen(said())).script
            yield action
            if "printf %s '" in action:
                yield body(action)
            if isinstance(each, Rebooting):
                yield each.confirm().script
    yield script(Probes(snippets=(("held", HELD_PACKAGES),)))


def test_every_script_is_one_that_a_shell_can_read() -> None:
    for text in _scripts():
        done = subprocess.run(["sh", "-n", "-c", text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{text}"


def test_a_container_has_nothing_of_its_own_to_move() -> None:
    inside = host_facts(container="lxc")
    assert list(host_update.role.resources(HostUpdateSettings(), inside)) == []
    asked = NvidiaDriverSettings(in_container=True)
    assert list(host_update.role.resources(HostUpdateSettings(), inside, asked))


RUNS = replace(HOST, running=replace(HOST.next_boot, release="6.12.100"))
INSTALLED = replace(HOST.next_boot, nvidia="550.2", flavour="open")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (replace(HOST, running=HOST.next_boot, loaded=None), None),
        (RUNS, f"6.12.100 runs, {BOOTS} boots next"),
        (replace(RUNS, container="systemd-nspawn"), None),
        (
            replace(HOST, running=INSTALLED, next_boot=INSTALLED, loaded="550.1", loaded_flavour="open"),
            "driver 550.1 open is loaded, 550.2 open is installed",
        ),
        (replace(HOST, running=INSTALLED, next_boot=INSTALLED, loaded="550.2", loaded_flavour="open"), None),
    ],
)
def test_a_reboot_only_where_something_else_runs(
    host: DriverHost, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roles.host_update.booted.surveyed", lambda _: host)
    for one in (Booted(), Rebooted()):
        difference = one.compare(Observations(), Pending())
        assert (difference.reason if difference else None) == reason
    looking_ahead = Rebooted().compare(Observations(), Pending(other=frozenset({"kernel and driver"})))
    assert looking_ahead
    assert looking_ahead.certainty == "possible"


def test_nobody_is_rebooted_who_does_not_want_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roles.host_update.booted.surveyed", lambda _: RUNS)
    *_, last = host_update.role.resources(
        HostUpdateSettings(), host_facts(), NvidiaDriverSettings(reboot=False)
    )
    assert not isinstance(last, Rebooting)
    done = subprocess.run(
        ["sh", "-c", last.action(Observations()).script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    cause = explain(done.stderr.splitlines())
    assert cause
    assert "waits for a reboot" in cause.message
    assert "sudo reboot" in (cause.hint or "")


@pytest.mark.parametrize(
    ("expected", "status", "words"),
    [
        (("9.9", "9.9", ""), 1, "the host booted @running@ and not 9.9"),
        (("9.9", "", ""), 0, ""),
        (("@running@", "@running@", ""), 0, ""),
    ],
)
def test_what_runs_is_held_against_what_was_to_come(
    expected: tuple[str, str, str], status: int, words: str, tmp_path: object
) -> None:
    running = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    text = Rebooted().confirm().script.replace("/var/lib/labctl/expected-boot", f"{tmp_path}/expected")
    with open(f"{tmp_path}/expected", "w") as file:  # noqa: PTH123 - one line of a test
        file.write("\n".join(expected).replace("@running@", running) + "\n")
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, words.replace("@running@", running) in done.stderr) == (status, True)


def test_an_inventory_may_speak_of_every_role() -> None:
    roles = roles_of(deploy_file("update_host.py"))
    assert roles[0].name == "host_update"
    assert set(roles_of(deploy_file("gpu_host.py"))) < set(roles)
    refuse_bad_data("inventory: aibox", {"firewall": {"manage": False}, "nvidia_driver": {}}, roles)
    with pytest.raises(BadInput):
        refuse_bad_data("inventory: aibox", {"fireball": {}}, roles)
