"""The decision table: the catalogue's `driver/table.yaml` as values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.yaml_document import read

Flavour = Literal["open", "proprietary"]
Origin = Literal["nvidia", "distribution"]
Modules = Literal["dkms", "precompiled"]
Url = Annotated[str, Field(pattern=r"^https://\S+")]
REPOSITORIES = "https://developer.download.nvidia.com/compute/cuda/repos"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Branches(_Row):
    """The first and last branch, each included. None: since before, or until after, every branch of this table."""

    first: int | None
    last: int | None

    def hold(self, branch: int) -> bool:
        """Whether `branch` is one of them."""
        return (self.first is None or self.first <= branch) and (self.last is None or branch <= self.last)


class Toolkits(_Row):
    """The first and last CUDA toolkit whose compiler knows a card, as "12.8"; None as in Branches."""

    first: str | None
    last: str | None

    def hold(self, version: str) -> bool:
        """Whether `version` ("12.4") is one of them."""
        at = as_numbers(version)
        return (self.first is None or as_numbers(self.first) <= at) and (
            self.last is None or at <= as_numbers(self.last)
        )


class ArchitectureRow(_Row):
    """What drives a generation of cards. A flavour that is None does not exist for it."""

    name: str
    open: Branches | None
    proprietary: Branches | None
    cuda: Toolkits
    source: Url

    def of(self, flavour: Flavour) -> Branches | None:
        """The branches with this flavour of kernel module."""
        return self.open if flavour == "open" else self.proprietary


class BranchRow(_Row):
    """How long a branch is kept."""

    branch: int
    standing: str
    source: Url


class Key(_Row):
    """The key NVIDIA signs a repository with. sha1: it is bound to its name by SHA-1, which sqv refuses."""

    file: str
    fingerprint: str = Field(pattern="^[0-9A-F]{40}$")
    sha1: bool


class System(_Row):
    """A release that is supported, for x86-64. components: of its own archive, beside main."""

    id: str
    version: str
    codename: str
    signatures: Literal["gpgv", "sqv"]
    repository: str
    key: Key
    components: list[str]
    source: Url
    unverified: str | None = None

    @property
    def name(self) -> str:
        """As `Debian 13`."""
        return f"{self.id.capitalize()} {self.version}"

    @property
    def repository_url(self) -> str:
        """NVIDIA's repository for it; a flat one."""
        return f"{REPOSITORIES}/{self.repository}/x86_64/"


class Cuda(_Row):
    """A CUDA 12 toolkit. mib: room it needs on /."""

    package: str
    version: str = Field(pattern=r"^12\.\d+$")
    mib: int


class Offer(_Row):
    """A driver that one system can have from one place. first: packages to install before the others."""

    system: str
    source: Origin
    branch: int
    modules: Modules
    why: str | None = None
    first: list[str]
    packages: list[str]
    open: list[str]
    proprietary: list[str]
    driver_mib: int
    cuda: Cuda | None
    no_cuda: str | None = None
    url: Url
    unverified: str | None = None

    @model_validator(mode="after")
    def _says_why_there_is_no_cuda(self) -> Offer:
        if (self.cuda is None) != (self.no_cuda is not None):
            raise ValueError("either `cuda` or the reason in `no_cuda`")
        return self

    def module_packages(self, flavour: Flavour) -> list[str]:
        """The packages that hold the kernel module."""
        return self.open if flavour == "open" else self.proprietary


class _LateCards(_Row):
    first_branch: dict[str, int]
    source: Url | str


class Board(_Row):
    """Computers whose card is part of the processor. system: what their maker installs on them."""

    models: list[str]
    system: str
    source: Url


class _Default(_Row):
    branch: int
    source: Url


class Table(_Row):
    """The whole table. offers: in the order they are tried."""

    open_by_default_from: _Default
    branches: list[BranchRow]
    architectures: list[ArchitectureRow]
    late_cards: _LateCards
    boards: list[Board]
    systems: list[System]
    offers: list[Offer]

    @model_validator(mode="after")
    def _rows_know_each_other(self) -> Table:
        systems = {f"{each.id} {each.version}" for each in self.systems}
        branches = {each.branch for each in self.branches}
        for offer in self.offers:
            if offer.system not in systems:
                raise ValueError(f"an offer for {offer.system}, which is not among `systems`")
            if offer.branch not in branches:
                raise ValueError(f"an offer of {offer.branch}, which is not among `branches`")
        return self

    def system(self, os_id: str, os_version: str) -> System | None:
        """A supported release; None for any other."""
        return next((row for row in self.systems if (row.id, row.version) == (os_id, os_version)), None)

    def architecture(self, name: str) -> ArchitectureRow | None:
        """A generation's row; None for one that is older than the table."""
        return next((row for row in self.architectures if row.name == name), None)

    def standing(self, branch: int) -> str:
        """How long a branch is kept, in words."""
        return next(row.standing for row in self.branches if row.branch == branch)

    def board(self, models: tuple[str, ...]) -> Board | None:
        """The computer that a card of this name is a part of, if it is."""
        return next((row for row in self.boards if set(models) & set(row.models)), None)

    def offers_for(self, system: System) -> list[Offer]:
        """What this release can have, in the order to try it."""
        return [row for row in self.offers if row.system == f"{system.id} {system.version}"]


def parse(text: str, where: str) -> Table:
    """The table that the catalogue carries. Raises BadInput with file, line and key."""
    return read(text, where, Table)


def as_numbers(version: str) -> tuple[int, ...]:
    """`12.4` for comparing."""
    return tuple(int(part) for part in version.split("."))
