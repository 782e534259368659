"""One shell script, run as root, that tells everything an apply wants to know of a host.

Apart from what reads the answer, since it is wanted first, and all else is imported while the host works on it.
"""

from labctl.rig.host_report import asking
from labctl.rig.our_names import OUR_LABEL, OUR_PREFIX
from labctl.transaction.layout import PROGRAM, TREES

GENERATIONS = "/var/lib/labctl/generations"
# Programs that take a card when they are asked, and are no container.
CARD_SERVICES = (
    "ollama.service",
    "comfyui.service",
    "vllm.service",
    "llama-server.service",
    "koboldcpp.service",
)
_TREES = " ".join(f"/{place}" for place in TREES.values())
_USERS = "--query-compute-apps=gpu_uuid,pid,process_name,used_memory --format=csv,noheader,nounits"
_EACH = f'{{{{.ID}}}} {{{{.Names}}}} {{{{index .Labels "{OUR_LABEL}"}}}}'
# A line of it that `labctl.apply.foreign` would take for one of ours, for sed.
_OURS = rf"^([0-9a-f]+) ({OUR_PREFIX}[^ ]*) .+$"
# Podman, the transaction program and the rest say what they say at the same time, and each is printed whole: the right
# side of a pipe begins at once, and prints what came through the pipe when it is done itself. Of a container of ours no
# more is asked than its name.
SCRIPT = rf"""
export LC_ALL=C
section() {{ printf '\n@@labctl %s\n' "$1"; }}
{{
section podman; podman --version 2>/dev/null
section secrets; podman secret ls --format '{{{{.Name}}}}' 2>/dev/null
}} | {{
{{
section status; [ ! -x {PROGRAM} ] || {PROGRAM} status
}} </dev/null | {{
{{
section containers
every=
if command -v podman >/dev/null; then
  every=$(podman ps --no-trunc --format '{_EACH}' 2>/dev/null)
  others=$(printf '%s\n' "$every" | sed -E '/{_OURS}/d; s/ .*//')
  [ -z "$others" ] || podman container inspect $others 2>/dev/null
fi
if command -v docker >/dev/null; then
  others=$(docker ps -q 2>/dev/null)
  [ -z "$others" ] || docker container inspect $others 2>/dev/null
fi
section ours; printf '%s\n' "$every" | sed -nE 's/{_OURS}/\1 \2/p'
section name; uname -n
section cores; getconf _NPROCESSORS_ONLN
section time-zone; zone=$(readlink /etc/localtime) || [ -e /etc/localtime ] || zone=/zoneinfo/UTC
case $zone in */zoneinfo/*) echo "${{zone##*/zoneinfo/}}" ;; esac
section devices
find /dev -maxdepth 4 '(' -path /dev/shm -o -path /dev/pts -o -path /dev/mqueue ')' -prune -o -print 2>/dev/null
section cards{asking("--query-gpu=uuid,memory.total,driver_version --format=csv,noheader,nounits")}
section card-users{asking(_USERS)}
users=$(printf '%s\n' "$report" | grep '^GPU-')
section cdi
grep -rhoE 'GPU-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}' /etc/cdi /var/run/cdi 2>/dev/null | sort -u
section listeners
heard=$(ss -Hlntup 2>/dev/null); printf '%s\n' "$heard"
section cgroups
for pid in $(printf '%s\n' "$users" | cut -d, -f2) $(printf '%s\n' "$heard" | grep -o 'pid=[0-9]*' | cut -d= -f2)
do
  echo "pid $pid"
  while read -r line; do echo "$line"; done 2>/dev/null <"/proc/$pid/cgroup"
done
section card-services; systemctl is-active {" ".join(CARD_SERVICES)} 2>/dev/null
section units; systemctl list-units --all --plain --no-legend --state=active,reloading,activating 'labctl-*' 2>/dev/null
section installed
find {_TREES} -type f -printf '%m %p\n' 2>/dev/null
section sums; find {_TREES} -type f -exec sha256sum {{}} + 2>/dev/null
section generation; {{ [ ! -e {GENERATIONS}/current ] || tar -cz -C {GENERATIONS}/current . ; }} | base64
}} </dev/null
cat
}}
cat
}}
section end
"""
