"""What a directory and a hub repository have in common: files by name, and a model that is read from some of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from labctl.models.model import Model
from labctl.models.source import ByteSource

Read = TypeVar("Read")
# A large model has 200 shards: one after the other they would take a minute over the network.
_AT_ONCE = 8


class Repository(Protocol):
    """Files by name. name: for messages. title: what the model is called. remote: reading takes round trips."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def remote(self) -> bool: ...

    @property
    def sizes(self) -> Mapping[str, int]: ...

    def open(self, file: str) -> AbstractContextManager[ByteSource]: ...


@dataclass(frozen=True)
class ReadModel:
    """A model, and what lay beside it.

    where: what to print of its origin. companions: vision projectors (mmproj) that are loaded with it. choices: the
    quantizations to choose from and the bytes of each, where there are any. chosen: nobody said which, so it is
    the usual one.
    """

    model: Model
    where: str
    companions: tuple[Model, ...] = ()
    choices: Mapping[str, int] = field(default_factory=dict, hash=False)
    chosen: bool = False


def read_each(repository: Repository, files: Sequence[str], read: Callable[[ByteSource], Read]) -> list[Read]:
    """What `read` makes of each file, in order; remote ones several at a time."""

    def one(name: str) -> Read:
        with repository.open(name) as source:
            return read(source)

    if not repository.remote or len(files) == 1:
        return [one(name) for name in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = [pool.submit(one, name) for name in files]
        try:
            return [task.result() for task in tasks]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def content_of(repository: Repository, file: str, most: int) -> bytes:
    """A whole small file, one byte more at most than it may have."""
    with repository.open(file) as source:
        return source.read(0, min(source.size, most + 1))
