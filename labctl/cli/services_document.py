"""What `labctl services --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from typing import Any

from labctl.errors import SCHEMA_VERSION
from labctl.workloads.container import Container
from labctl.workloads.service import Service


def services_document(services: tuple[Service, ...]) -> dict[str, object]:
    """All of them, by name. Every key is always there; null is what nobody knows, or what there is not."""
    return {"schema_version": SCHEMA_VERSION, "services": [_service(each) for each in services]}


def service_document(service: Service) -> dict[str, object]:
    """One of them, in the same form as among all."""
    return {"schema_version": SCHEMA_VERSION, "service": _service(service)}


def _service(service: Service) -> dict[str, Any]:
    """As the file has it, with every default written out; images as Podman takes them, and no list of pinned flags."""
    told = service.model_dump(mode="json", exclude={"containers"})
    return told | {"containers": [_container(each) for each in service.containers]}


def _container(container: Container) -> dict[str, Any]:
    told = container.model_dump(mode="json")
    return told | {"reference": container.image.reference if container.image else None}
