"""What `labctl services` prints for people: a line per service by use, or a page about one. 80 columns. Pure."""

from collections.abc import Iterable, Iterator
from typing import get_args

from labctl.cli.columns import wrapped
from labctl.render.needed_files import path_of
from labctl.workloads.container import Container, Image
from labctl.workloads.service import Api, CardNeed, NeededFile, Secret, Service, Use

WIDTH = 80
_LABEL = 11
_USES: dict[Use, str] = {
    "language": "Language models",
    "images": "Pictures and video",
    "speech": "Speech",
    "training": "Training",
    "interface": "Interfaces",
    "home": "The home",
    "files": "Files",
    "anything": "Anything else",
}
_APIS: dict[Api, str] = {
    "openai": "OpenAI's API for chat",
    "openai-speech": "OpenAI's API for speech",
    "ollama": "Ollama's API",
    "comfyui": "ComfyUI's API",
}


def services_text(services: tuple[Service, ...]) -> str:
    """Every service, grouped by use."""
    lines = [_columns("service", "what", "card", "port", "run*")]
    for use in get_args(Use):
        found = [each for each in services if each.use == use]
        lines += ["", _USES[use], *(_line(each) for each in found)] if found else []
    told = "`labctl services NAME` says what runs, where its data lies and what it needs."
    ran = "* with the true image, one of packages, or a stand-in; NAME says what and when."
    return "\n".join([*lines, "", ran, *wrapped(told, WIDTH)])


def _line(service: Service) -> str:
    ports = ",".join(str(each.container) for each in service.ports) or "–"
    card = {"required": "needed", "optional": "optional", "none": "none"}[service.gpu.use]
    return _columns(service.name, service.title, card, ports, _ran(service))


def _ran(service: Service) -> str:
    """Of all that was run the image that says least: where a part of it was stood in for, not all of it has run."""
    images = {each.image for each in service.verified}
    return next((each for each in ("stand-in", "packages", "true") if each in images), "no")


def _columns(name: str, title: str, card: str, ports: str, ran: str) -> str:
    return f"  {name:<15}{title:<38}{card:<10}{ports:<7}{ran}"


def service_text(service: Service) -> str:
    """One service: what runs, where its data lies, what it needs, its secrets, where that stands, what was verified."""
    lines = [service.title, *_row("in a file", f"service: {service.name}")]
    lines += _row("kind", _kind(service))
    lines += _row("cards", _cards(service.gpu))
    lines += _row("memory", _memory(service))
    for container in service.containers:
        lines += ["", *_container(service, container)]
    if service.needs_files:
        lines += ["", "Files that you put on the host, without which it does not start"]
        for needed in service.needs_files:
            lines += wrapped(_needed(service, needed), WIDTH, "  ", "    ")
    if service.secrets:
        lines += ["", "Secrets"]
        for secret in service.secrets:
            lines += wrapped(_secret(secret), WIDTH, "  ", "    ")
    if service.offers or service.uses:
        lines += ["", "With others"]
        lines += wrapped(_offers(service), WIDTH, "  ", "    ") if service.offers else []
        lines += wrapped(_consumers(service), WIDTH, "  ", "    ") if service.uses else []
    if service.note:
        lines += ["", *wrapped(f"Note: {service.note}", WIDTH)]
    lines += ["", "Verified"]
    for each in service.verified:
        image = {"true": "the true image", "packages": "an image built of packages", "stand-in": "a stand-in"}
        lines += wrapped(f"{each.when}, {image[each.image]}: {each.what}", WIDTH, "  ", "    ")
    if not service.verified:
        lines.append("  no: nothing of it was run for real yet")
    lines += ["", "Sources", f"  {service.documentation}"]
    urls = (service.gpu.source, *(each.url for each in service.sources))
    lines += [f"  {url}" for url in dict.fromkeys(urls) if url and url != service.documentation]
    return "\n".join(lines)


def _row(label: str, text: str) -> list[str]:
    return wrapped(text, WIDTH, f"  {label:<{_LABEL}}", " " * (_LABEL + 2))


def _kind(service: Service) -> str:
    said = ["a job, which runs in its window and ends" if service.job else "runs all the time"]
    if service.needs_model:
        said.append("needs a model")
    elif service.engine:
        said.append("takes a model, or its clients choose")
    if service.stateful:
        said.append("keeps your data, so it stays on its host")
    if service.migrates:
        said.append("a new version changes that data for good")
    return "; ".join(said)


def _cards(need: CardNeed) -> str:
    said = [{"required": "at least one", "optional": "with one or without", "none": "none"}[need.use]]
    if need.cuda:
        said.append(f"CUDA {need.cuda}")
    if need.min_driver:
        said.append(f"driver {need.min_driver} or newer")
    if older := need.older_cards:
        tag = f" and tag {older.tag}" if older.tag else ""
        said.append(f"below compute capability {older.below} driver {older.min_driver} or newer{tag}")
    return "; ".join(said)


def _memory(service: Service) -> str:
    if not service.ram_mib and not service.disk_mib:
        return "what the workload says"
    beside = " beside its model" if service.engine else ""
    least = f"; a card with {service.least_vram_mib:,} MiB free" if service.least_vram_mib else ""
    return f"{service.ram_mib:,} MiB RAM, {service.disk_mib:,} MiB disk{beside}{least}"


def _container(service: Service, container: Container) -> Iterator[str]:
    yield f"Container {container.name}"
    yield from _row("image", _image(container.image) if container.image else "the workload's")
    for port in container.ports:
        answers = f', answers {port.answers.path} with "{port.answers.says}"' if port.answers else ""
        public = "" if container == service.first else ", for the other containers alone"
        yield from _row("port", f"{port.container}/{port.protocol} ({port.name}){public}{answers}")
    for volume in container.volumes:
        kept = {
            "state": "your data",
            "cache": "can be had again",
            "models": "the host's model files, read only",
        }
        yield from _row("volume", f"{volume.name} at {volume.at}: {kept[volume.keeps]}")
    if container.after:
        yield from _row("starts", f"after {', '.join(container.after)}")
    if container.health:
        then = "is started anew" if container.health.unhealthy == "kill" else "is reported"
        yield from _row("health", f"{' '.join(container.health.command)}; what fails {then}")
    yield from _row("runs as", "; ".join(_rights(container)))


def _image(image: Image) -> str:
    """With so much of the digest as tells it from others; all of it is 71 letters."""
    return f"{image.name}:{image.tag}" + (f" {image.digest[:19]}…" if image.digest else "")


def _rights(container: Container) -> Iterable[str]:
    security = container.security
    user = container.runs_as
    yield (
        "the image's user" if user is None else f"root: {security.root}" if security.root else f"user {user}"
    )
    capabilities = ", ".join(each.name for each in security.capabilities)
    yield f"capabilities {capabilities}" if capabilities else "no capabilities"
    yield f"its root may be written: {security.writable_root}" if security.writable_root else "read-only root"
    if security.new_privileges:
        yield f"may gain privileges: {security.new_privileges}"


def _secret(secret: Secret) -> str:
    if secret.made == "given":
        return f"{secret.name}: {secret.what}; yours to give, and it does without"
    changed = ", a restart takes a new one" if secret.changed_by == "restart" else ", never changed by labctl"
    told = f"{secret.name}: {secret.what}; made at the first apply, {secret.characters} characters{changed}"
    return f"{told}; to change it: {secret.procedure}" if secret.procedure else told


def _needed(service: Service, needed: NeededFile) -> str:
    of_data = path_of("NAME", needed, service, "DIR")
    other = f" (with `data: DIR`, {of_data})" if of_data.startswith("DIR/") else ""
    return f"{path_of('NAME', needed, service, None)}{other}: {needed.what}"


def _offers(service: Service) -> str:
    return "offers " + ", ".join(_APIS[each.api] for each in service.offers)


def _consumers(service: Service) -> str:
    names = ", ".join(_APIS[each.api] for each in service.uses)
    return f"uses: [NAME] tells it of workloads that offer {names}; of others by NAME_URL"
