"""One container of a service: what runs, where its data lies, what it may do. Values as a catalogue file has them."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict

Item = TypeVar("Item")
# YAML has lists where a frozen value has tuples.
Many = Annotated[tuple[Item, ...], Strict(strict=False)]
NAME = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
IMAGE_NAME = r"^[a-z0-9.-]+\.[a-z]+(/[a-z0-9._-]+)+$"
TAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
DIGEST = r"^sha256:[0-9a-f]{64}$"
ABSOLUTE = r"^(/[^/\s\"\\]+)+$"
USER = r"^\d{1,10}:\d{1,10}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
PLAIN = r"^[^\"\\\n]+$"
CAPABILITY = r"^[A-Z][A-Z_]+$"
URL_PATH = r"^/\S*$"
ULIMIT = r"^[a-z]+=-?\d+:-?\d+$"
FORMS = {
    NAME: "small letters, digits and hyphens",
    IMAGE_NAME: "registry/path without a tag, as docker.io/library/postgres",
    TAG: "a tag, as 17.9",
    DIGEST: "sha256: and 64 hexadecimal digits",
    ABSOLUTE: "an absolute path without spaces",
    USER: 'uid:gid in quotes, as "999:999"',
    VARIABLE: "letters, digits and underscores",
    PLAIN: "one line without double quotes and backslashes",
    CAPABILITY: "a capability without CAP_, as NET_BIND_SERVICE",
    URL_PATH: "a path that begins with /",
    ULIMIT: "name=soft:hard, as memlock=-1:-1",
}
AbsolutePath = Annotated[str, Field(pattern=ABSOLUTE)]
Seconds = Annotated[int, Field(gt=0)]
# What a plan, a host or another workload knows and no catalogue can. Rendering leaves out what has no value there.
Filling = Literal[
    "workload",  # the workload's name, by which the engine serves its model too
    "context",  # tokens of one request
    "parallel",  # requests at once
    "kv_type",  # of the KV cache, as GGUF names it
    "quant",  # of the weights, as the engine names it
    "used_model",  # what the used workload serves
    "url",  # under which people reach it, with its scheme
    "origins",  # that, and those of a tunnel to its ports on the host, joined by semicolons
    "host_name",  # of that
    "time_zone",  # of the host, as Europe/Berlin
]


class Row(BaseModel):
    """A mapping of a catalogue file: no key too many, no type guessed, nothing to be changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Filled(Row):
    """A value that rendering fills in."""

    value: Filling


class AddressOf(Row):
    """The name under which another container of the same service is reached on their network."""

    address_of: str


class Flag(Row):
    """Two words of a command line, both left out where there is no value."""

    flag: str = Field(pattern=PLAIN)
    value: Filling


Text = Annotated[str, Field(pattern=PLAIN)]
Setting = Text | Filled | AddressOf
Environment = Mapping[Annotated[str, Field(pattern=VARIABLE)], Setting]


class Image(Row):
    """What is pulled. digest: of the index of all architectures; None where nobody here has seen it.

    user: whom it runs as by itself. volumes: paths that it declares, at which Podman would make unnamed volumes.
    """

    name: str = Field(pattern=IMAGE_NAME)
    tag: str = Field(pattern=TAG)
    digest: str | None = Field(default=None, pattern=DIGEST)
    user: str = Field(pattern=USER)
    volumes: Many[AbsolutePath] = ()

    @property
    def reference(self) -> str:
        """As Podman takes it."""
        pinned = f"@{self.digest}" if self.digest else ""
        return f"{self.name}:{self.tag}{pinned}"


class Answer(Row):
    """A GET and what nothing but this service says to it: `says` stands somewhere in the body."""

    path: str = Field(pattern=URL_PATH)
    says: str = Field(min_length=4)


class Port(Row):
    """A port of the container. Those of the first container are published on the host, those of the others are not.

    answers: None where it speaks no HTTP.
    """

    name: str = Field(pattern=NAME)
    container: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    answers: Answer | None


class Volume(Row):
    """A directory that outlives the container; containers of one service that name the same one share it.

    keeps: state, a person's data (backed up, never deleted by labctl); cache, what can be had again; models, the host's
    folder of model files, read only. owner: whom its files belong to, "uid:gid"; None for models.
    """

    name: str = Field(pattern=NAME)
    at: AbsolutePath
    keeps: Literal["state", "cache", "models"]
    owner: str | None = Field(default=None, pattern=USER)


class SecretUse(Row):
    """Where a container finds a secret of its service: as a variable, or as a file that a variable names."""

    name: str
    variable: str = Field(pattern=VARIABLE)
    file: AbsolutePath | None = None


class Health(Row):
    """A command in the container, exit code 0 when all is well; no double quotes, which Podman before 5.8.2 loses.

    start_seconds: failures do not count before. unhealthy: killed, for systemd to start it anew, or only told.
    """

    command: Many[Text] = Field(min_length=1)
    interval_seconds: Seconds
    timeout_seconds: Seconds
    retries: int = Field(gt=0)
    start_seconds: Seconds
    unhealthy: Literal["kill", "tell"]


class Capability(Row):
    """Of the kernel, kept when all others are dropped."""

    name: str = Field(pattern=CAPABILITY)
    why: str = Field(min_length=8)


class Security(Row):
    """What departs from the strictest, each with its reason; what is not written is the strictest.

    user: run as, "uid:gid"; None leaves it to the image. root: why it runs as root. writable_root: why its root file
    system is not read only. new_privileges: why NoNewPrivileges is not set.
    """

    user: str | None = Field(default=None, pattern=USER)
    root: str | None = Field(default=None, min_length=8)
    writable_root: str | None = Field(default=None, min_length=8)
    new_privileges: str | None = Field(default=None, min_length=8)
    capabilities: Many[Capability] = ()


class Container(Row):
    """One container, the strictest way it is known to run.

    image: None where the workload names it. after: containers of the same service that must be healthy before.
    ram_mib: its part of the service's; None for the first, which has the rest. entrypoint: in place of the image's.
    args_variable: takes the command line, joined by blanks, where the image wants it so; None: it follows the image.
    pinned: flags that rendering writes so that the plan holds; a workload's `args` must not repeat them.
    start_seconds: until it is healthy, the image being there. stop_seconds: before it is killed. init: a PID 1 that
    reaps. shm_mib: of /dev/shm. tmpfs: paths kept in memory.
    """

    name: str = Field(pattern=NAME)
    image: Image | None
    entrypoint: Many[Text] = ()
    args: Many[Text | Flag] = ()
    args_variable: str | None = Field(default=None, pattern=VARIABLE)
    pinned: Many[Text] = ()
    environment: Environment = Field(default={})
    secrets: Many[SecretUse] = ()
    ports: Many[Port] = ()
    volumes: Many[Volume] = ()
    tmpfs: Many[AbsolutePath] = ()
    after: Many[str] = ()
    health: Health | None = None
    security: Security
    ram_mib: int | None = Field(default=None, gt=0)
    shm_mib: int | None = Field(default=None, gt=0)
    ulimits: Many[Annotated[str, Field(pattern=ULIMIT)]] = ()
    init: bool = False
    start_seconds: Seconds
    stop_seconds: Seconds

    @property
    def runs_as(self) -> str | None:
        """ "uid:gid", by the file or by the image; None where only the workload's image knows."""
        return self.security.user or (self.image.user if self.image else None)

    @property
    def keeps_state(self) -> bool:
        """Whether a person's data is in it; such a container is never killed for being unhealthy."""
        return any(each.keeps == "state" for each in self.volumes)

    @property
    def models_at(self) -> str | None:
        """Where it finds the host's folder of model files; None where it is not given it."""
        return next((each.at for each in self.volumes if each.keeps == "models"), None)

    def port(self, name: str) -> Port | None:
        """Its port of that name; None where it has none."""
        return next((each for each in self.ports if each.name == name), None)
