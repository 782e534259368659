"""Package work as a unit of the host: it outlives the client that asked for it, and waits for whoever is before it.

The client may die and the cable may be cut: apt finishes what it began. Before it stand an earlier run's unit, whose
client may be dead, and other package managers (apt-daily, unattended-upgrades, a person).
"""

from __future__ import annotations

import shlex

UNIT = "labctl-apt"
# True also while the unit starts or ends, when `systemctl is-active` is not.
BUSY = (
    f"systemctl show -p ActiveState --value {UNIT}.service | grep -qx -e active -e activating -e deactivating"
)

_LOCK_SECONDS = 600
_TURN_SECONDS = 3600  # a driver's build takes minutes; an hour is a package script that waits for nobody
_OPTIONS = (
    f"-o DPkg::Lock::Timeout={_LOCK_SECONDS} -o Dpkg::Options::=--force-confdef "
    "-o Dpkg::Options::=--force-confold -o APT::Get::Assume-Yes=true -o Acquire::Retries=3"
)
APT_GET = f"patiently apt-get {_OPTIONS}"
DPKG_CONFIGURE = "patiently dpkg --configure -a --force-confdef --force-confold"

# apt waits by itself for one of its four locks only: not for those of the lists and of the archives, nor does dpkg for
# its own. The words are those of apt 2.0 to 3.0 and dpkg 1.20 to 1.22.
_PATIENTLY = f"""patiently() {{
  give_up=$(( $(date +%s) + {_LOCK_SECONDS} ))
  until "$@" 2>/run/{UNIT}.err; do
    status=$?
    cat /run/{UNIT}.err >&2
    grep -qE 'Could not get lock|lock (is|was) locked by' /run/{UNIT}.err || return "$status"
    [ "$(date +%s)" -lt "$give_up" ] || return "$status"
    sleep 2
  done
  cat /run/{UNIT}.err >&2
}}
"""


def as_host_unit(body: str) -> str:
    """Return a script that runs `body` (sh) as root in a transient systemd unit of the host and waits for it.

    `body` may say APT_GET and DPKG_CONFIGURE. On failure the unit's last 20 lines are printed and the exit status is
    the body's.
    """
    # By way of a file: systemd would put its own idea of ${Package} into a command line.
    return f"""set -eu
install -d -m 755 /var/lib/labctl
exec 9>/run/{UNIT}.lock
give_up=$(( $(date +%s) + {_TURN_SECONDS} ))
flock -w {_TURN_SECONDS} 9 || {{ echo "another labctl has held /run/{UNIT}.lock for {_TURN_SECONDS} s" >&2; exit 1; }}
while {BUSY}; do
  [ "$(date +%s)" -lt "$give_up" ] || {{
    echo "{UNIT}.service of an earlier run does not end: see /run/{UNIT}.log, then systemctl stop {UNIT}" >&2
    exit 1
  }}
  sleep 1
done
systemctl reset-failed {UNIT}.service 2>/dev/null || true
log=/run/{UNIT}.log; : >"$log"
printf %s {shlex.quote(_PATIENTLY + body)} >/run/{UNIT}.sh
rc=0
systemd-run --quiet --collect --wait --unit={UNIT} -p KillMode=mixed -p TimeoutStopSec=600 \\
  -p StandardOutput=append:"$log" -p StandardError=append:"$log" \\
  -E DEBIAN_FRONTEND=noninteractive -E NEEDRESTART_MODE=l -E LC_ALL=C.UTF-8 \\
  sh /run/{UNIT}.sh 9>&- || rc=$?
[ "$rc" = 0 ] || tail -n 20 "$log"
exit "$rc"
"""
