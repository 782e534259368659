"""A service of the catalogue: how one kind of workload is run.

How the value is used by `labctl.render`, from a plan's workload `w` named NAME and `s`, its service; what everything is
called on the host stands in `labctl.render.names`:

- Units. One per container of `s.containers`: the first, `s.first`, is called labctl-NAME and is what the workload's
  overrides (`image`, `args`, `env`, `volumes`, `devices`) are for; another is labctl-NAME-CONTAINER. Companions are no
  services of their own because nothing else may use them, they change version with the first and leave with it. `job`
  services run once, in their window. `image` is also for companions of the first one's image, which are more of the
  same program: two versions of it on one volume would be the end of it.
- Networks. One for the service's containers, on which each goes by its unit's name (`AddressOf` is that name). What
  other workloads join by `uses` is a second one that only the first container stands on, so that a database is out of
  their reach; a single container needs but one.
- Image. `container.image.reference`; for the first, `s.image_for(capability)` of the oldest of the cards. Where `s`
  migrates, a companion with a program and data of its own stays on the image that its data is of.
- Cards. The first container alone is given any; it finds model files below `s.first.models_at`.
- Command line. `container.args` in order, then what the engine's own code (`s.engine`) adds for the claim, then the
  workload's `args`, which name nothing that is `pinned`. A `Flag` without a value is left out with its flag.
- Environment. `container.environment`, then `s.uses` for each used workload, then the workload's `env`. A `Filled`
  without a value is left out. For several used workloads of one `api`, addresses are joined by `joined`; where that
  is None the first one counts. A workload that uses what has no row in `uses` is given NAME_URL of that one.
- Volumes. NAME-VOLUME; with `data: DIR` those of `s.data_volumes` are DIR/VOLUME. `owner` is whom a new one must belong
  to before the first start. `models` is the host's folder of model files, read only. The workload's own `volumes` are
  state.
- Secrets. Podman secret NAME-SECRET, made on the first apply as `secret.made` says; `given` ones are the person's and
  optional: without one its variable is not set.
- Health, security, timings: as they stand; a missing reason means the strict setting.
- Memory. A companion's limit is its `ram_mib`, the first container's is the plan's RAM without theirs.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from labctl.workloads.container import (
    FORMS,
    URL_PATH,
    VARIABLE,
    Container,
    Environment,
    Image,
    Many,
    Port,
    Row,
)

ServiceEngine = Literal["llama.cpp", "ollama", "vllm", "comfyui", "whisper", "training"]
# The order in which `labctl services` shows them.
Use = Literal["language", "images", "speech", "training", "interface", "home", "files", "anything"]
Api = Literal["openai", "openai-speech", "ollama", "comfyui"]
Area = Literal[
    "image", "ports", "volumes", "environment", "command", "health", "security", "secrets", "memory"
]
SERVICE_NAME = r"^[a-z0-9]+(-[a-z0-9]+|\.[a-z0-9]+)*$"
VERSION = r"^\d+(\.\d+){1,3}$"
DRIVER = r"^\d+(\.\d+){0,3}$"
URL = r"^https://[^\s]+$"
RELATIVE = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]*(/[a-zA-Z0-9_][a-zA-Z0-9._-]*)*$"
DAY = r"^20\d\d-[01]\d-[0-3]\d$"
SERVICE_FORMS = FORMS | {
    SERVICE_NAME: "small letters, digits, dots and hyphens",
    VERSION: 'a version in quotes, as "12.8"',
    DRIVER: 'a driver version in quotes, as "570.26"',
    URL: "an address that begins with https://",
    RELATIVE: "a path in the volume, of letters, digits, dots, hyphens and underscores",
    DAY: 'a day in quotes, as "2026-11-21"',
}


class OlderCards(Row):
    """What cards below a compute capability need instead. tag: of the first container's image; None for the same."""

    below: str = Field(pattern=VERSION)
    min_driver: str = Field(pattern=DRIVER)
    tag: str | None = None


class CardNeed(Row):
    """Of cards. cuda: what the image was built with. min_driver: the oldest driver of NVIDIA's that it runs on.

    Both None where the image brings no CUDA, or only the workload knows.
    """

    use: Literal["required", "optional", "none"]
    cuda: str | None = Field(default=None, pattern=VERSION)
    min_driver: str | None = Field(default=None, pattern=DRIVER)
    older_cards: OlderCards | None = None
    source: str | None = Field(default=None, pattern=URL)

    def driver_for(self, capability: tuple[int, int]) -> str | None:
        """The oldest driver for a card of this compute capability; None where any will do."""
        older = self.older_cards
        return older.min_driver if older and capability < _capability(older.below) else self.min_driver


class Secret(Row):
    """made: `random`, so many letters and digits on the first apply; `given`, a person's own, and optional.

    changed_by: `restart` where a new value takes effect with the next start; None where the service would have to be
    told, so that it is never changed. procedure: how a person tells the service, NAME being the workload; None where
    that is not documented.
    """

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")
    what: str = Field(min_length=8)
    made: Literal["random", "given"]
    characters: int | None = Field(default=None, ge=16, le=128)
    changed_by: Literal["restart"] | None = None
    procedure: str | None = Field(default=None, min_length=8)


class Offer(Row):
    """An API at a port of the first container. path: where clients take it to begin, `/` for the port's own root."""

    api: Api
    port: str
    path: str = Field(default="/", pattern=URL_PATH)


class Consumer(Row):
    """How the first container is told of workloads that it uses. variable: takes their addresses, by `joined`.

    sets: what else, once there is one.
    """

    api: Api
    variable: str = Field(pattern=VARIABLE)
    joined: str | None = None
    sets: Environment = Field(default={})


class NeededFile(Row):
    """A file of a person's without which the first container does not start. path: in that container's volume.

    what: what it holds at least. A job with a time of its own is not started, and displaces nothing, without it.
    """

    volume: str
    path: str = Field(pattern=RELATIVE)
    what: str = Field(min_length=8)


class Source(Row):
    """Where values come from. container: None for all of them."""

    covers: Many[Area] = Field(min_length=1)
    container: str | None = None
    url: str = Field(pattern=URL)


class Verified(Row):
    """What was run for real. image: the true one, one built of packages, or a stand-in."""

    what: str = Field(min_length=8)
    when: str = Field(pattern=DAY)
    image: Literal["true", "packages", "stand-in"]


def _no_is_none(written: object) -> object:
    if written is False:
        return ()
    if written in ([], None):
        raise ValueError("expected `no`, or what was run, when, on which image")
    return written


class Service(Row):
    """How one kind of workload is run; `labctl.workloads.service` says how the parts are meant.

    engine: whose rules say what its model takes; None where no model is loaded onto a card, or where only a declared
    `vram_mib` says so. loads: when the model gets onto its cards; None without a model. elastic: its clients decide
    what it loads, so it gets a card of its own unless capped by `vram_mib`; least_vram_mib: what such a card must have
    free to be of use. stateful: keeps data of the person's, so it stays on its host. migrates: a new version changes
    that data one-way, so that only `labctl update` brings one. ram_mib, disk_mib: of all containers, without a model.
    """

    name: str = Field(pattern=SERVICE_NAME)
    title: str
    use: Use
    job: bool = False
    engine: ServiceEngine | None
    needs_model: bool
    loads: Literal["at_start", "on_request"] | None
    elastic: bool
    least_vram_mib: int = Field(default=0, ge=0)
    stateful: bool
    migrates: bool
    ram_mib: int = Field(ge=0)
    disk_mib: int = Field(ge=0)
    gpu: CardNeed
    containers: Many[Container] = Field(min_length=1)
    secrets: Many[Secret] = ()
    offers: Many[Offer] = ()
    uses: Many[Consumer] = ()
    needs_files: Many[NeededFile] = ()
    documentation: str = Field(pattern=URL)
    sources: Many[Source]
    note: str | None = None
    verified: Annotated[Many[Verified], BeforeValidator(_no_is_none)]

    @property
    def first(self) -> Container:
        """The container that the workload's overrides are for, and whose ports are published."""
        return self.containers[0]

    @property
    def least_free_mib(self) -> int:
        """What must be free of a card that it fills: others may hold so much that half of `least_vram_mib` is left."""
        return -(-self.least_vram_mib // 2)

    @property
    def ports(self) -> tuple[Port, ...]:
        """Those that are published on the host."""
        return self.first.ports

    def is_of_first(self, container: Container) -> bool:
        """Whether it runs the first one's program, and so changes version with it; the first itself among them."""
        first = self.first.image
        if container.image is None or first is None:
            return container is self.first
        return container.image.name == first.name

    def moves_alone(self, container: Container) -> bool:
        """Whether its data moves one way with its image; with what runs the first one's program, the first's."""
        is_asked = container is self.first or not self.is_of_first(container)
        return self.migrates and container.keeps_state and is_asked

    def container(self, name: str) -> Container | None:
        """Its container of that name; None where it has none."""
        return next((each for each in self.containers if each.name == name), None)

    def secret(self, name: str) -> Secret | None:
        """Its secret of that name; None where it has none."""
        return next((each for each in self.secrets if each.name == name), None)

    def image_for(self, capability: tuple[int, int] | None) -> Image | None:
        """The first container's image, for cards of this compute capability at least; None for one without cards."""
        image, older = self.first.image, self.gpu.older_cards
        if image and older and older.tag and capability and capability < _capability(older.below):
            return image.model_copy(update={"tag": older.tag, "digest": None})
        return image

    @property
    def data_volumes(self) -> tuple[str, ...]:
        """Names of the volumes that a workload's `data` says the place of: those with state, else the caches."""
        of_all = [each for container in self.containers for each in container.volumes]
        for keeps in ("state", "cache"):
            if found := dict.fromkeys(each.name for each in of_all if each.keeps == keeps):
                return tuple(found)
        return ()


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)
