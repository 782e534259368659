"""labctl as a person uses it on the demo's host: each step returns what it came to, in a few words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.plan.plan import Plan
from labctl.plan.plan_json import load
from tests.host import llama_service, tiny_gguf
from tests.host.demo_host import DRIVER, NAME, PLACED, DemoHost
from tests.host.demo_output import QUESTION
from tests.host.feed_reader import FeedReader
from tests.host.labctl_command import document, labctl, said
from tests.host.llama_service import Answer
from tests.host.port_forward import forwarded_port

_CHAT, _FEEDS = "chat", "feeds"


class DemoSession:
    """Its inventory, its plan, its log."""

    def __init__(self, box: DemoHost, folder: Path) -> None:
        self.box, self.folder = box, folder
        self.plan_file = folder / "plan.json"
        self.where: dict[str, Any] = {"log": folder / "labctl.log", "checkout": box.checkout}
        self._at = ("--inventory", box.inventory)

    @property
    def plan(self) -> Plan:
        """As `labctl place` wrote it."""
        return load(self.plan_file.read_text())

    def deploy(self) -> str:
        """What it did."""
        done = labctl("deploy", self.box.inventory, **self.where)[NAME]
        if not done.changed:
            return f"again: 0 changed, {done.remote_commands} remote commands"
        return f"{len(done.changed)} of {done.operations} operations, driver {DRIVER} (stand-in)"

    def verify(self) -> str:
        """How many checks came to what."""
        checks = labctl("verify", self.box.inventory, **self.where)[NAME].checks
        return ", ".join(f"{count} {verdict}" for verdict, count in checks.items())

    def place(self) -> str:
        """The picture; the plan is in its file."""
        told = said("place", PLACED, *self._at, "--out", self.plan_file, **self.where)
        return told.partition("\nThe plan is in")[0]  # where the name is long, it comes in the next line

    def pull(self) -> str:
        """Send the small model to where the planned one belongs."""
        planned = self.plan.workloads[_CHAT]
        model, quant = str(planned.model), str(planned.variant["quant"])
        file = self.folder / f"{tiny_gguf.NAME}.gguf"
        tiny_gguf.write_tiny_gguf(file)
        told = document("models", "pull", model, "--quant", quant, "--from", file, *self._at, **self.where)
        ((pulled,),) = (each["models"] for each in told["hosts"])
        return f"{pulled['bytes'] >> 10} KiB as {pulled['place']}"

    def apply(self) -> str:
        """What it started."""
        told = document("apply", self.plan_file, *self._at, "--yes", **self.where)["hosts"][NAME]
        names = [each["workload"] for each in told["changes"]]
        return f"{' and '.join(names)} run and are healthy" if names else f"again: {told['status']}"

    def ask(self) -> Answer:
        """The model, through an SSH port forward."""
        port = self.plan.workloads[_CHAT].ports[0].host
        with forwarded_port(self.box.host.ssh, port) as here:
            return llama_service.ask(f"http://127.0.0.1:{here}", QUESTION, most_tokens=48)

    @contextmanager
    def feeds(self) -> Iterator[FeedReader]:
        """The reader, as its administrator."""
        # Not logged: the password is in what it prints.
        password = said("secrets", "show", f"{_FEEDS}-admin-password", *self._at, checkout=self.box.checkout)
        with forwarded_port(self.box.host.ssh, self.plan.workloads[_FEEDS].ports[0].host) as here:
            yield FeedReader(f"http://127.0.0.1:{here}", password)
