"""Whether what a workload says fits its service: keys that nobody reads, and overrides that would break the plan."""

import re
from collections.abc import Iterator

from labctl.workloads.container import ABSOLUTE, NAME, VARIABLE, Filled
from labctl.workloads.image_name import in_full, is_full
from labctl.workloads.schema import Entry
from labctl.workloads.service import Service
from labctl.yaml_document import Path

# path of the key, what is wrong, what was found, what to do
Problem = tuple[Path, str, str | None, str | None]
# The service whose image, ports and volumes are all the workload's own.
ANY = "container"
# What a model is loaded with; without one they would be read by nobody.
_OF_MODELS = ("quant", "dtype", "context", "parallel", "kv_type", "offload", "size", "frames")
_OF_PICTURES = ("size", "frames")
# Values of the plan that its claims were computed with, called as the keys of a workload that choose them.
_CLAIMED = ("context", "parallel", "kv_type", "quant")
_CARDS = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
# A shorter start of a flag is taken for nobody's: `--m` is many.
_LEAST_START = len("--max")
_DEVICE = re.compile(r"^/dev/[^\s:]+$")


def misfits(entry: Entry, service: Service) -> Iterator[Problem]:
    """Everything about one workload that its service contradicts, in the order in which it is best mended."""
    yield from _model(entry, service)
    if entry.image is not None and not is_full(entry.image):
        hint = f"write it in full: {in_full(entry.image)}"
        yield ("image",), "a short name, which several registries may have", entry.image, hint
    yield from _cards(entry, service)
    yield from _ports(entry, service)
    yield from _environment(entry, service)
    yield from _arguments(entry, service)
    yield from _volumes(entry, service)
    for index, device in enumerate(entry.devices):
        if not _DEVICE.match(device):
            yield ("devices", index), "not a device of the host", device, "as /dev/ttyUSB0"
        elif device.startswith("/dev/nvidia"):
            yield ("devices", index), "cards are given by the plan", device, "leave it out; see `gpus`"


def answers(entry: Entry, service: Service) -> bool:
    """Whether others can reach it at a port."""
    return bool(service.ports or entry.ports)


def _model(entry: Entry, service: Service) -> Iterator[Problem]:
    if service.needs_model and entry.model is None and entry.vram_mib is None:
        yield ("service",), f"{service.name} needs a model", None, "add `model:`, a catalogue name or a path"
    if service.engine is None and entry.model is not None:
        yield ("model",), f"{service.name} loads no model", entry.model, "leave it out"
    if (entry.training is not None) != (service.engine == "training"):
        if entry.training is not None:
            yield ("training",), f"{service.name} does not train", None, "service: axolotl does"
        else:
            yield ("service",), f"{service.name} needs `training:`", None, "as {method: qlora, batch: 2}"
    if service.name == ANY and entry.image is None:
        yield ("service",), "a container needs its image", None, "add `image: registry/name:tag`"
    for key in _OF_MODELS:
        if key not in entry.model_fields_set:
            continue
        if service.engine is None:
            yield (key,), f"{service.name} loads no model", str(getattr(entry, key)), "leave it out"
        elif key in _OF_PICTURES and service.engine != "comfyui":
            yield (key,), f"{service.name} makes no pictures", str(getattr(entry, key)), "leave it out"


def _cards(entry: Entry, service: Service) -> Iterator[Problem]:
    gpus = entry.gpus
    if service.gpu.use == "none" and entry.vram_mib:
        yield ("vram_mib",), f"{service.name} uses no card", str(entry.vram_mib), "leave it out"
    if gpus.count == 0 and entry.vram_mib:
        found = str(entry.vram_mib)
        yield ("vram_mib",), "memory of a card, and `gpus.count` says none", found, "leave one out"
    if gpus.uuids and gpus.count is not None and gpus.count > len(gpus.uuids):
        yield ("gpus", "count"), "more cards than are named in uuids", str(gpus.count), None


def _ports(entry: Entry, service: Service) -> Iterator[Problem]:
    written = [str(port).removesuffix("/tcp") for port in entry.ports]
    for index, port in enumerate(written):
        # TCP and UDP of one number are two ports; placement keeps both for one workload.
        if port.rpartition(":")[0] and _on_host(port) in map(_on_host, written[:index]):
            found = str(entry.ports[index])
            yield ("ports", index), "the same port of the host twice", found, "keep one of them"
    if entry.expose != "no" and not answers(entry, service):
        hint = "add `ports:`" if service.name == ANY else "leave it out"
        yield ("expose",), "it answers at no port", entry.expose, hint


def _on_host(port: str) -> tuple[str, bool]:
    """Which port of the host, and whether it is UDP's."""
    return port.rpartition(":")[0], port.endswith("/udp")


def _environment(entry: Entry, service: Service) -> Iterator[Problem]:
    secrets = {each.variable: each.name for each in service.first.secrets}
    for name in entry.env:
        setting = service.first.environment.get(name)
        if not re.match(VARIABLE, name):
            yield ("env", name), "no name of a variable", name, "letters, digits and underscores"
        elif name in _CARDS:
            yield ("env", name), "cards are given by the plan", None, "leave it out; see `gpus`"
        elif name in secrets:
            hint = "leave it out: it is kept as a secret of the host, see `labctl secrets`"
            yield ("env", name), f"{service.name} has its secret {secrets[name]} there", None, hint
        elif isinstance(setting, Filled) and setting.value in _CLAIMED:
            yield ("env", name), "it follows from the plan", None, f"say it as `{setting.value}:`"


def _arguments(entry: Entry, service: Service) -> Iterator[Problem]:
    for index, argument in enumerate(entry.args):
        flag = argument.partition("=")[0]
        if any(_may_mean(flag, each) for each in service.first.pinned):
            hint = "leave it out: context, parallel, kv_type, gpus and such say it"
            yield ("args", index), "it follows from the plan", flag, hint


def _may_mean(flag: str, pinned: str) -> bool:
    """As engines read flags: an underscore is a hyphen, --no- turns one off, and Python's take the start of a name."""
    if not flag.startswith("--"):
        return flag == pinned
    name = flag.replace("_", "-")
    starts = len(name) >= _LEAST_START and pinned.startswith(name)
    return starts or name == pinned or name.replace("--no-", "--", 1) == pinned


def _volumes(entry: Entry, service: Service) -> Iterator[Problem]:
    names = {each.name for container in service.containers for each in container.volumes}
    places = {each.at: each.name for each in service.first.volumes}
    for name, at in entry.volumes.items():
        if not re.match(NAME, name):
            yield ("volumes", name), "no name of a volume", name, "small letters, digits and hyphens"
        elif name in names:
            yield ("volumes", name), f"{service.name} has a volume of this name", name, "take another"
        elif not re.match(ABSOLUTE, at):
            yield ("volumes", name), "not where a container could find it", at, "an absolute path"
        elif at in places:
            hint = "leave it out; `data:` says where it lies on the host"
            yield ("volumes", name), f"{service.name} has its volume {places[at]} there", at, hint
        places.setdefault(at, name)
    if entry.data is None:
        return
    if not re.match(ABSOLUTE, entry.data):
        yield ("data",), "not a folder of the host", entry.data, "an absolute path, as /srv/nextcloud"
    elif not entry.volumes and not service.data_volumes:
        yield ("data",), "it keeps nothing", entry.data, "leave it out, or add `volumes:`"
