"""All throwaway hosts of one session."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count, cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from labctl.errors import BadInput
from tests.host import network
from tests.host.base_image import hold_base_image
from tests.host.cache import open_cache
from tests.host.cached_folder import CachedFolder, hold
from tests.host.disk import Disk, Layer, load_layer
from tests.host.machine import Machine
from tests.host.session import Session, open_session
from tests.host.throwaway_host import ThrowawayHost

# A cable is the interface vb-NAME, and interface names end at 15 characters.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
_TEMPLATE = "template"
_LAYERS_REFRESH_AFTER_DAYS = 7


class ThrowawayHosts:
    """A session of throwaway hosts on one network; leaving the `with` block ends and deletes all of it."""

    def __init__(self) -> None:
        self._hosts: dict[str, ThrowawayHost] = {}
        self._bases: dict[str, Layer] = {}
        self._ending = ExitStack()
        self._held = ExitStack()
        self._session: Session | None = None
        self._numbers: Iterator[int] = iter(())
        self._templates = count(1)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._session = open_session(open_cache())
            stack.callback(self._session.close)
            network.build(self._session)
            # The longest unused comes next: who spoke with the last host of a number knows its hardware address.
            self._numbers = cycle(self._session.subnet.guest_numbers)
            self._ending = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hosts.clear()
        self._ending.close()
        self._held.close()

    def __iter__(self) -> Iterator[ThrowawayHost]:
        """The hosts there are, on or off."""
        return iter(tuple(self._hosts.values()))

    @property
    def session(self) -> Session:
        """What the hosts run in."""
        assert self._session is not None, "use ThrowawayHosts in a `with` block"
        return self._session

    def boot(
        self,
        name: str = "aibox",
        *,
        suite: str = "trixie",
        layer: Layer | None = None,
        nspawn_arguments: Sequence[str] = (),
    ) -> ThrowawayHost:
        """A new host that answers SSH.

        name: its host name, up to 12 characters, unique in the session. layer: the disk it starts from, and with
        it its suite; without one it is a bare host of `suite`. nspawn_arguments: for systemd-nspawn, such as a
        `--bind` for a simulated device.
        """
        host = self._create(name, layer or self._bare(suite), nspawn_arguments)
        host.power_on()
        return host

    def boot_all(
        self,
        *names: str,
        suite: str = "trixie",
        layer: Layer | None = None,
        nspawn_arguments: Sequence[str] = (),
    ) -> list[ThrowawayHost]:
        """Several hosts alike, booting at the same time; otherwise like `boot`."""
        hosts = [self._create(name, layer or self._bare(suite), nspawn_arguments) for name in names]
        for host in hosts:
            host.machine.power_on()
        for host in hosts:
            host.wait_for_ssh()
        return hosts

    def cut_uplink(self) -> None:
        """Take the outside away from all hosts: no name resolves, no package comes. They still have each other."""
        network.set_uplink(self.session, connected=False)

    def restore_uplink(self) -> None:
        """Give it back."""
        network.set_uplink(self.session, connected=True)

    def _create(self, name: str, origin: Layer, nspawn_arguments: Sequence[str]) -> ThrowawayHost:
        if not _NAME.fullmatch(name):
            raise BadInput("bad host name", found=name, expected="up to 12 small letters, digits and dashes")
        if name in self._hosts:
            raise BadInput("a host of this session has that name", found=name)
        taken = {host.number for host in self}
        number = next(number for number in self._numbers if number not in taken)
        disk = Disk(self.session, self.session.folder / "hosts" / name, origin)
        host = ThrowawayHost(Machine(self.session, name, disk, nspawn_arguments), number)
        self._hosts[name] = host
        host.prepare()
        return host

    def destroy(self, host: ThrowawayHost) -> None:
        """Power cut, and the disk is gone; the name is free again."""
        del self._hosts[host.name]
        host.destroy()

    def cached_layer(
        self,
        name: str,
        key: str,
        prepare: Callable[[ThrowawayHost], None],
        *,
        suite: str = "trixie",
        above: Layer | None = None,
    ) -> Layer:
        """The layer `name` that `prepare` makes out of a bare host, kept for later sessions while `key` is the same.

        key: anything that changes when the layer would come out different, such as the text of the roles. It is
        made anew, too, when the base image is. above: another cached layer to start from, and to be made anew with.
        """
        below = above or self._bare(suite)
        folders = " ".join(str(path) for path in (*below.uppers, below.base))
        recipe = hashlib.sha256(f"{folders} {key}".encode()).hexdigest()[:10]
        folder = self.keep(
            hold(
                self.session.cache.layers,
                f"{name}-{below.suite}",
                recipe,
                lambda folder: self._make_layer(prepare, below, folder),
                refresh_after_days=_LAYERS_REFRESH_AFTER_DAYS,
            )
        )
        return load_layer(folder, below)

    def _make_layer(self, prepare: Callable[[ThrowawayHost], None], below: Layer, folder: Path) -> None:
        # One that `prepare` failed on stays until the session ends: somebody will want its logs.
        host = self.boot(f"{_TEMPLATE}-{next(self._templates)}", layer=below)
        prepare(host)
        host.power_off()
        host.freeze(folder)
        self.destroy(host)

    def _bare(self, suite: str) -> Layer:
        if suite not in self._bases:
            folder = self.keep(hold_base_image(self.session.cache, suite))
            self._bases[suite] = Layer(folder / "root", suite)
        return self._bases[suite]

    def keep(self, folder: CachedFolder) -> Path:
        """Have a folder of the cache stay until the session ends."""
        self._held.callback(folder.release)
        return folder.path
