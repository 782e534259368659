"""A throwaway host is what a test takes it for: a bare Debian server that can be rebooted, cut off and thrown away."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from labctl.errors import BadInput, Failed
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

Boot = Callable[..., ThrowawayHost]
_NOT_BARE = ("python3", "podman", "nft", "gcc", "curl")


@pytest.fixture(scope="module")
def bare(throwaway_hosts: ThrowawayHosts) -> Iterator[ThrowawayHost]:
    """A host for tests that leave it as it was."""
    host = throwaway_hosts.boot("bare")
    yield host
    throwaway_hosts.destroy(host)


@pytest.mark.parametrize(
    ("suite", "sources"),
    [("trixie", "/etc/apt/sources.list.d/debian.sources"), ("bookworm", "/etc/apt/sources.list")],
)
def test_boots_a_bare_debian_server(boot_host: Boot, suite: str, sources: str) -> None:
    host = boot_host("fresh", suite=suite)

    assert host.wait_running() == "running", host.console_run("systemctl --failed").stdout
    assert f"VERSION_CODENAME={suite}" in host.run("cat /etc/os-release").stdout
    assert host.run("cat /proc/1/comm; hostname").stdout.split() == ["systemd", "fresh"]
    assert host.run("id -un").stdout.strip() == "lab"
    assert host.run("id -un", sudo=True).stdout.strip() == "root"
    assert host.run(f"command -v {' '.join(_NOT_BARE)}", check=False).stdout == ""
    files = host.run("find /etc/apt/sources.list /etc/apt/sources.list.d -type f 2>/dev/null", check=False)
    assert files.stdout.split() == [sources]
    assert "contrib" not in host.run(f"cat {sources}").stdout
    assert host.run("find /var/lib/apt/lists -name '*Packages*'", sudo=True).stdout == ""


def test_a_failing_command_is_an_error_unless_asked_otherwise(bare: ThrowawayHost) -> None:
    assert bare.run("exit 7", check=False).returncode == 7
    with pytest.raises(Failed, match=r"bare: echo nonsense >&2; exit 7: exit code 7: nonsense"):
        bare.run("echo nonsense >&2; exit 7")
    with pytest.raises(Failed, match="no answer within"):
        bare.run("sleep 60", timeout_s=1)


def test_only_the_key_the_harness_made_is_trusted(bare: ThrowawayHost) -> None:
    before = bare.known_hosts_path.read_text()
    bare.known_hosts_path.write_text(before.replace("AAAAC3Nza", "AAAAC3Nzb"))
    try:
        assert bare.run("true", check=False).returncode == 255
    finally:
        bare.known_hosts_path.write_text(before)
    assert bare.run("true").returncode == 0


def test_a_reboot_keeps_the_disk_and_loses_run(bare: ThrowawayHost) -> None:
    _leave_traces(bare)
    before = bare.boot_id()

    bare.reboot()

    assert bare.boot_id() != before
    _expect_traces_of_disk_only(bare)


def test_a_host_may_reboot_itself(bare: ThrowawayHost) -> None:
    _leave_traces(bare)
    before = bare.machine.leader()

    bare.run("systemctl reboot", sudo=True, check=False)
    bare.machine.wait_for_next_leader(before)
    bare.wait_for_ssh()

    _expect_traces_of_disk_only(bare)


def test_a_power_cut_keeps_the_disk_and_warns_nobody(bare: ThrowawayHost) -> None:
    _leave_traces(bare)
    bare.console_run(
        "systemd-run --quiet sh -c 'trap \"touch /root/warned\" TERM; while :; do sleep 0.1; done'"
    )

    bare.power_cut()
    assert not bare.machine.is_on
    bare.power_on()

    _expect_traces_of_disk_only(bare)
    assert bare.console_run("test -e /root/warned", check=False).returncode == 1


def test_a_host_that_powers_itself_off_is_off_and_can_be_switched_on(bare: ThrowawayHost) -> None:
    bare.run("systemctl poweroff", sudo=True, check=False)
    bare.machine.wait_until_off(60)

    assert not bare.machine.is_on
    assert "Powering off" in bare.machine.console_tail() or "Reached target" in bare.machine.console_tail()
    assert "systemd" in bare.logs(20)
    bare.power_on()


def test_a_cut_cable_stops_the_network_and_nothing_else(bare: ThrowawayHost) -> None:
    boot_id = bare.boot_id()

    bare.cut_cable()
    assert bare.run("true", check=False).returncode == 255
    assert bare.console_run("cat /sys/class/net/host0/carrier").stdout.strip() == "0"
    bare.restore_cable()

    assert bare.run("true").returncode == 0
    assert bare.boot_id() == boot_id


def test_hosts_reach_each_other_and_the_outside(bare: ThrowawayHost, boot_host: Boot) -> None:
    other = boot_host("other")

    for address in (bare.ipv4, bare.ipv6):
        assert "SSH-2.0" in other.run(f"exec 3<>/dev/tcp/{address}/22; head -1 <&3").stdout
    bare.cut_cable()
    try:
        assert other.run(f"timeout 2 bash -c 'echo > /dev/tcp/{bare.ipv4}/22'", check=False).returncode != 0
    finally:
        bare.restore_cable()
    # Names resolve, signatures are checked, packages come: what apt needs is what a deploy needs.
    other.run("apt-get -q update && apt-get -qy install --no-install-recommends hello", sudo=True)
    assert "Hello, world!" in other.run("hello").stdout


def test_without_the_uplink_hosts_only_have_each_other(
    throwaway_hosts: ThrowawayHosts, bare: ThrowawayHost
) -> None:
    throwaway_hosts.cut_uplink()
    try:
        update = bare.run("apt-get -q -o Acquire::Retries=0 update", sudo=True, check=False)
    finally:
        throwaway_hosts.restore_uplink()

    assert "Temporary failure resolving" in update.stderr
    assert "Temporary failure" not in bare.run("apt-get -q update", sudo=True).stderr
    bare.run("rm -r /var/lib/apt/lists/*", sudo=True)


def test_several_hosts_boot_together(throwaway_hosts: ThrowawayHosts) -> None:
    hosts = throwaway_hosts.boot_all("one", "two", "three")
    try:
        assert [host.run("hostname").stdout.strip() for host in hosts] == ["one", "two", "three"]
    finally:
        for host in hosts:
            throwaway_hosts.destroy(host)


def test_a_host_can_be_far_away(bare: ThrowawayHost) -> None:
    with bare.delayed(20) as near:
        command = bare.ssh.argv("hostname", address="127.0.0.1", port=near.port)
        answer = subprocess.run(command, check=True, capture_output=True, text=True)

    assert answer.stdout.strip() == "bare"


def test_reset_goes_back_to_where_the_host_started(boot_host: Boot) -> None:
    host = boot_host("resetme")
    host.run("rm /etc/apt/sources.list.d/debian.sources; touch /etc/new /srv/new", sudo=True)

    host.reset()

    assert host.run("ls /etc/apt/sources.list.d").stdout.split() == ["debian.sources"]
    assert host.run("ls /etc/new /srv/new", check=False).stdout == ""


def test_a_layer_starts_any_number_of_hosts_where_one_was(boot_host: Boot) -> None:
    first = boot_host("first")
    first.run("rm /etc/debian_version; echo a >/etc/made; echo b >/srv/made", sudo=True)
    with pytest.raises(Failed, match="first is on"):
        first.save_layer("made")
    first.power_off()
    layer = first.save_layer("made")
    first.power_on()
    first.run("rm /etc/made /srv/made", sudo=True)

    clones = [boot_host("second", layer=layer), boot_host("third", layer=layer)]

    for clone in clones:
        assert clone.run("cat /etc/made /srv/made").stdout.split() == ["a", "b"]
        assert clone.run("ls /etc/debian_version", check=False).returncode != 0
        assert clone.run("hostname").stdout.strip() == clone.name
    for unlike in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert len({host.run(f"cat {unlike}").stdout for host in (first, *clones)}) == 3, unlike
    second, third = clones
    second.run("rm /etc/made", sudo=True)
    assert third.run("cat /etc/made").stdout.strip() == "a"


def test_a_cached_layer_is_made_once_per_key(throwaway_hosts: ThrowawayHosts, boot_host: Boot) -> None:
    made = []

    def prepare(host: ThrowawayHost) -> None:
        made.append(host.name)
        host.run("touch /etc/prepared", sudo=True)

    key = throwaway_hosts.session.name  # of this run only
    layers = [throwaway_hosts.cached_layer("harness-test", key, prepare) for _ in range(2)]

    assert layers[0] == layers[1]
    assert len(made) == 1
    assert boot_host("cached", layer=layers[0]).run("ls /etc/prepared").returncode == 0


def test_containers_run(boot_host: Boot) -> None:
    host = boot_host("whale")
    host.run(
        "apt-get -q update && apt-get -qy install --no-install-recommends"
        " podman crun netavark aardvark-dns nftables busybox-static",
        sudo=True,
    )
    host.run("tar -C / -c usr/bin/busybox | podman import -q - localhost/busybox", sudo=True)

    serve = (
        "podman run -d -p 8080:80 -v /etc:/www:ro localhost/busybox /usr/bin/busybox httpd -f -p 80 -h /www"
    )
    host.run(serve, sudo=True)

    assert "overlay" in host.run("podman info --format '{{.Store.GraphDriverName}}'", sudo=True).stdout
    page = f"exec 3<>/dev/tcp/{host.ipv4}/8080; printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert "whale" in host.run(page).stdout


# Each would do no harm if it succeeded: it sets what is set already.
@pytest.mark.parametrize(
    ("attempt", "complaint"),
    [
        ("date -s @$(date +%s)", "Operation not permitted"),
        ("perl -e 'syscall(175, 0, 0, 0) == 0 or die qq($!\n)'", "Operation not permitted"),  # init_module(2)
        ("f=/proc/sys/vm/swappiness; v=$(cat $f); echo $v > $f", "Read-only file system"),
        ("f=/proc/sys/kernel/panic; v=$(cat $f); echo $v > $f", "Read-only file system"),
        (
            "f=/sys/kernel/mm/transparent_hugepage/khugepaged/defrag; v=$(cat $f); echo $v > $f",
            "Read-only file system",
        ),
    ],
)
def test_the_guests_root_cannot_change_the_machine(bare: ThrowawayHost, attempt: str, complaint: str) -> None:
    tried = bare.run(attempt, sudo=True, check=False)

    assert tried.returncode != 0
    assert complaint in tried.stderr


def test_network_settings_are_the_guests_own(bare: ThrowawayHost) -> None:
    bare.run("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 4242 > /proc/sys/net/core/somaxconn", sudo=True)

    assert bare.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/somaxconn").stdout.split() == [
        "1",
        "4242",
    ]
    here = subprocess.run(["cat", "/proc/sys/net/core/somaxconn"], check=True, capture_output=True, text=True)
    assert here.stdout.strip() != "4242"


def test_bad_names_are_refused(throwaway_hosts: ThrowawayHosts, bare: ThrowawayHost) -> None:
    with pytest.raises(BadInput, match="up to 12"):
        throwaway_hosts.boot("Much too long a name")
    with pytest.raises(BadInput, match="a host of this session has that name"):
        throwaway_hosts.boot(bare.name)
    with pytest.raises(BadInput, match=r"found sarge, expected trixie or bookworm"):
        throwaway_hosts.boot("old", suite="sarge")


def _leave_traces(host: ThrowawayHost) -> None:
    host.run("echo kept > /var/trace; echo lost > /run/trace", sudo=True)


def _expect_traces_of_disk_only(host: ThrowawayHost) -> None:
    assert host.run("cat /var/trace").stdout.strip() == "kept"
    assert host.run("cat /run/trace", check=False).returncode != 0
