"""What rendering has to know of the host, and no plan says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.render.podman import DEBIAN_13, Version

Capability = tuple[int, int]
MODELS = "/srv/models"


@dataclass(frozen=True)
class HostFacts:
    """Of one host. podman: major and minor version. cores: of the processor, None where nobody looked.

    capabilities: compute capability by card. models_folder: where model files lie; model_files: of a workload's model
    below it, where that is not `labctl.render.model_place`'s. secrets: Podman's that are there already; versions: which
    of them has the value of a `names.variable_secret`, where it goes by another name. time_zone: as Europe/Berlin.
    data_images: by unit, the image that last ran on data that moves one way with it.
    """

    podman: Version = DEBIAN_13
    cores: int | None = None
    time_zone: str | None = None
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    models_folder: str = MODELS
    model_files: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict)
    data_images: Mapping[str, str] = field(default_factory=dict)

    def variable_secret(self, name: str) -> str:
        """What the host has it as."""
        return self.versions.get(name, name)
