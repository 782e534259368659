"""What is known of the catalogue's images beyond what the catalogue says: how they start, and what they refuse.

A service without a row here gets a plain one: its entrypoint is a program that answers at its port.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.host.package_tree import PackageTree

_SLIM = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/perl",
    "usr/lib/x86_64-linux-gnu/perl*",
    # PostgreSQL compiles queries with it if it is there.
    "usr/lib/x86_64-linux-gnu/libLLVM*",
    "usr/lib/llvm*",
    "usr/lib/postgresql/*/lib/bitcode",
)
_BASE = ("base-files", "bash", "ca-certificates", "coreutils", "curl", "dash", "python3", "python3-psycopg2")
BASE = PackageTree("stand-in-base", "trixie", _BASE, _SLIM)
POSTGRES = PackageTree("postgres", "trixie", (*_BASE, "postgresql-17"), _SLIM)
VALKEY = PackageTree("valkey", "trixie", (*_BASE, "valkey-server", "valkey-tools"), _SLIM)
NGINX = PackageTree("nginx", "trixie", (*_BASE, "nginx"), _SLIM)
# Its package would set a database up by itself.
MINIFLUX = PackageTree("miniflux", "trixie", (*_BASE, "dbconfig-no-thanks", "miniflux"), _SLIM)
# In sid alone. curl and a shell are in it for the health check, as in upstream's image.
LLAMA = PackageTree("llama-server", "sid", ("base-files", "ca-certificates", "curl", "dash", "llama.cpp"))
TREES = (BASE, POSTGRES, VALKEY, NGINX, MINIFLUX, LLAMA)
# For a workload of the service `container`, which has no image of its own.
ANYTHING = "docker.io/library/nginx"
ANYTHING_TAG = "1.29.1"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Shape:
    """tree: the packages with the real program; None for a stand-in, whose module is `program`.

    entrypoint, command, environment, folder, stop_signal: of the true image. starts: files that run the program of a
    stand-in. files: others, by path, that may be run. writes_itself: it tries its volumes in ways of its own, not
    as the user it starts as. source: where its shape stands.
    """

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    tree: PackageTree | None = None
    program: str = "web"
    starts: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    stop_signal: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    writes_itself: bool = False
    source: str = ""


PLAIN = Shape(entrypoint=("/stand-in-entrypoint",), starts=("/stand-in-entrypoint",))
# Debian's is built for the processor alone, and refuses to put a model onto a card by number; all else is the plan's.
_LLAMA_SERVER = """#!/bin/sh
echo "llama-server of Debian's packages, on the processor: -sm, -mg and -ts are left out of: $*"
n=$#
while [ $n -gt 0 ]; do
  case $1 in
    -sm|-mg|-ts) shift 2; n=$((n - 2)) ;;
    *) word=$1; shift; set -- "$@" "$word"; n=$((n - 1)) ;;
  esac
done
exec /usr/bin/llama-server "$@"
"""
# What the true one does with these variables; as root it would change to postgres first.
_POSTGRES = """#!/bin/sh
set -eu
echo "PostgreSQL of Debian's packages, started as $(id -u): $*"
[ "$1" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "refused: a new database without a password" >&2; exit 1; }
  user=${POSTGRES_USER:-postgres}
  echo "$POSTGRES_PASSWORD" >/tmp/password
  # shellcheck disable=SC2086
  initdb --username="$user" --pwfile=/tmp/password ${POSTGRES_INITDB_ARGS:-}
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  pg_ctl -D "$PGDATA" -o "-c listen_addresses=" -w start
  [ "${POSTGRES_DB:-$user}" = postgres ] || createdb --username="$user" "${POSTGRES_DB:-$user}"
  pg_ctl -D "$PGDATA" -m fast -w stop
fi
shift
exec postgres -c 'listen_addresses=*' "$@"
"""
# The true one is built with its protected mode off: with it, only the container itself would be answered.
_VALKEY = """#!/bin/sh
set -eu
echo "Valkey of Debian's packages, started as $(id -u): $*"
case ${1:-} in -*|*.conf) set -- valkey-server "$@" ;; esac
[ "$1" = valkey-server ] || exec "$@"
shift
exec valkey-server --protected-mode no "$@"
"""
_NGINX = """#!/bin/sh
echo "nginx of Debian's packages, started as $(id -u): $*"
exec "$@"
"""
_NGINX_CONF = """user www-data;
worker_processes 2;
error_log /dev/stderr;
pid /run/nginx.pid;
events {}
http {
  access_log off;
  server { listen 80; location / { return 200 "nginx of Debian's packages\\n"; } }
}
"""
SHAPES: dict[str, Shape] = {
    "docker.io/axolotlai/axolotl-uv": Shape(
        program="axolotl",
        starts=("/workspace/axolotl-venv/bin/axolotl",),
        environment={"PATH": f"/workspace/axolotl-venv/bin:{_PATH}"},
        folder="/workspace/axolotl",
        source="https://github.com/axolotl-ai-cloud/axolotl/blob/main/docker/Dockerfile-uv",
    ),
    "docker.io/yanwk/comfyui-boot": Shape(
        command=("bash", "/runner-scripts/entrypoint.sh"),
        starts=("/runner-scripts/entrypoint.sh",),
        environment={"CLI_ARGS": ""},
        folder="/root",
        source="https://github.com/YanWenKun/ComfyUI-Docker/blob/main/cu130-slim-v2/Dockerfile",
    ),
    "ghcr.io/home-assistant/home-assistant": Shape(
        entrypoint=("/init",),
        starts=("/init",),
        folder="/config",
        source="https://github.com/home-assistant/core/blob/dev/Dockerfile",
    ),
    "ghcr.io/ggml-org/llama.cpp": Shape(
        tree=LLAMA,
        entrypoint=("/app/llama-server",),
        files={"/app/llama-server": _LLAMA_SERVER},
        environment={"LLAMA_ARG_HOST": "0.0.0.0"},
        folder="/app",
        source="https://github.com/ggml-org/llama.cpp/blob/master/.devops/cuda.Dockerfile",
    ),
    "docker.io/miniflux/miniflux": Shape(
        tree=MINIFLUX,
        command=("/usr/bin/miniflux",),
        environment={"LISTEN_ADDR": "0.0.0.0:8080"},
        source="https://github.com/miniflux/v2/blob/main/packaging/docker/alpine/Dockerfile",
    ),
    "docker.io/library/nextcloud": Shape(
        program="nextcloud",
        entrypoint=("/entrypoint.sh",),
        command=("apache2-foreground",),
        starts=("/entrypoint.sh", "/cron.sh"),
        folder="/var/www/html",
        stop_signal="SIGWINCH",
        writes_itself=True,
        source="https://github.com/nextcloud/docker/blob/master/34/apache/Dockerfile",
    ),
    "docker.io/library/postgres": Shape(
        tree=POSTGRES,
        entrypoint=("docker-entrypoint.sh",),
        command=("postgres",),
        files={"/usr/local/bin/docker-entrypoint.sh": _POSTGRES},
        environment={
            "PATH": f"/usr/lib/postgresql/17/bin:{_PATH}",
            "PGDATA": "/var/lib/postgresql/data",
            "LANG": "C.UTF-8",
        },
        stop_signal="SIGINT",
        source="https://github.com/docker-library/postgres/blob/master/17/bookworm/Dockerfile",
    ),
    "docker.io/valkey/valkey": Shape(
        tree=VALKEY,
        entrypoint=("docker-entrypoint.sh",),
        command=("valkey-server",),
        files={"/usr/local/bin/docker-entrypoint.sh": _VALKEY},
        folder="/data",
        source="https://github.com/valkey-io/valkey-container/blob/mainline/docker-entrypoint.sh",
    ),
    "docker.io/ollama/ollama": Shape(
        program="ollama",
        entrypoint=("/bin/ollama",),
        command=("serve",),
        starts=("/usr/bin/ollama",),
        # As upstream's: what a unit says comes in its place.
        environment={"OLLAMA_HOST": "0.0.0.0:11434", "NVIDIA_VISIBLE_DEVICES": "all"},
        source="https://github.com/ollama/ollama/blob/main/Dockerfile",
    ),
    "ghcr.io/open-webui/open-webui": Shape(
        command=("bash", "start.sh"),
        starts=("/app/backend/start.sh",),
        environment={"PORT": "8080"},
        folder="/app/backend",
        source="https://github.com/open-webui/open-webui/blob/main/Dockerfile",
    ),
    "docker.io/vllm/vllm-openai": Shape(
        program="vllm",
        entrypoint=("vllm", "serve"),
        starts=("/usr/local/bin/vllm",),
        folder="/vllm-workspace",
        source="https://github.com/vllm-project/vllm/blob/main/docker/Dockerfile",
    ),
    "ghcr.io/speaches-ai/speaches": Shape(
        command=("uvicorn", "--factory", "speaches.main:create_app"),
        starts=("/usr/local/bin/uvicorn",),
        environment={"HOME": "/home/ubuntu", "UVICORN_HOST": "0.0.0.0", "UVICORN_PORT": "8000"},
        folder="/home/ubuntu/speaches",
        source="https://github.com/speaches-ai/speaches/blob/master/Dockerfile",
    ),
    ANYTHING: Shape(
        tree=NGINX,
        entrypoint=("/docker-entrypoint.sh",),
        command=("nginx", "-g", "daemon off;"),
        files={"/docker-entrypoint.sh": _NGINX, "/etc/nginx/nginx.conf": _NGINX_CONF},
        stop_signal="SIGQUIT",
        source="https://github.com/nginx/docker-nginx/blob/master/stable/debian/Dockerfile",
    ),
}
