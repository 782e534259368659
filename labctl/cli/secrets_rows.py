"""What is told of a host's secrets: those that Podman has, and those that the plan in force may take. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.edges.host_secrets import Made, SecretsSeen, SecretThere
from labctl.render.known_secrets import KnownSecret
from labctl.render.names import without_version


@dataclass(frozen=True)
class Row:
    """One secret. there: None where the host has it not; of several versions the one that a unit takes, or the newest.

    known: None where no plan in force speaks of it.

    units: that take it. older: of these the ones that run since before it was changed, so with the old value.
    """

    name: str
    there: SecretThere | None
    known: KnownSecret | None
    units: tuple[str, ...]
    older: tuple[str, ...]

    @property
    def workload(self) -> str:
        """Whose it is."""
        return (self.known and self.known.workload) or (self.there and self.there.workload) or ""

    @property
    def made(self) -> Made:
        """As its label says; of one that was made by hand, as the catalogue does."""
        return (self.there and self.there.made) or (self.known and self.known.made) or "given"


def rows(seen: SecretsSeen, known: Mapping[str, KnownSecret]) -> tuple[Row, ...]:
    """By name. Podman's others, which no labctl made and no workload takes, are nobody's business here."""
    ours = {without_version(name) for name, each in seen.secrets.items() if each.workload is not None}
    return tuple(_row(name, seen, known.get(name)) for name in sorted(ours | known.keys()))


def _row(name: str, seen: SecretsSeen, known: KnownSecret | None) -> Row:
    units = [each for each in seen.units if name in map(without_version, each.secrets)]
    taken = {version for each in units for version in each.secrets}
    versions = [each for each in seen.secrets.values() if without_version(each.name) == name]
    there = max(versions, key=lambda each: (each.name in taken, each.updated_at), default=None)
    changed_at = int(there.updated_at.timestamp()) if there else 0
    older = [each.unit for each in units if each.started_at is not None and each.started_at < changed_at]
    return Row(name, there, known, tuple(each.unit for each in units), tuple(older))
