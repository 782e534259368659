"""A service's YAML file as a `Service`. Reading the file is the caller's."""

from labctl.errors import BadInput
from labctl.workloads.service import SERVICE_FORMS, Service
from labctl.workloads.service_check import contradictions
from labctl.yaml_document import read_located


def parse(text: str, where: str) -> Service:
    """The service that a catalogue file describes.

    Raises BadInput with file, line and key: for what is no service by its form, and for parts that contradict.
    """
    service, line = read_located(text, where, Service, SERVICE_FORMS)
    for each in contradictions(service):
        dotted = ".".join(str(part) for part in each.path)
        raise BadInput(
            f"`{dotted}`: {each.message}",
            where=f"{where}:{line(each.path)}",
            found=each.found,
            expected=each.expected,
            hint=each.hint,
        )
    return service
