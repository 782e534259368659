"""Repositories of the Hugging Face hub: what they hold, and the beginnings of their files."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers
from huggingface_hub.utils.logging import set_verbosity_error

from labctl import __version__
from labctl.edges.hub_errors import GO_ON, Answer, is_passing, refusal, seconds_to_wait, unreachable
from labctl.edges.hub_ranges import ATTEMPTS, Budget, RangeSource
from labctl.errors import BadInput, Failed, LabctlError

_TIMEOUT_SECONDS = 30.0
_YES = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True)
class HubFile:
    """One file of a repository. sha256: of a large one; git_oid: of one that git keeps itself. None: not told."""

    bytes: int
    sha256: str | None = None
    git_oid: str | None = None


class HubRepository:
    """One repository at one commit. Nothing is asked before it is needed.

    The endpoint is HF_ENDPOINT's; the token is the one that the hub's own library finds (HF_TOKEN, `hf auth login`).
    wait: takes seconds.
    """

    remote = True

    def __init__(
        self, repository: str, revision: str | None = None, *, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self.name = self.title = repository
        self._revision = revision
        self._commit = revision
        self._wait = wait
        self._endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        self._headers = build_hf_headers(library_name="labctl", library_version=__version__)
        self._budget = Budget()
        set_verbosity_error()  # what it warns of, our errors say

    @property
    def sizes(self) -> Mapping[str, int]:
        """File → bytes. Raises as `files` does."""
        return {name: file.bytes for name, file in self.files.items()}

    @property
    def endpoint(self) -> str:
        """The hub's address."""
        return self._endpoint

    @property
    def commit(self) -> str | None:
        """What was listed, or asked for; None before the listing of a repository without a revision."""
        return self._commit

    @property
    def token(self) -> str | None:
        """What opens gated repositories; None where nobody gave one."""
        return self._headers.get("authorization", "").removeprefix("Bearer ") or None

    def url(self, file: str) -> str:
        """Where one file is fetched."""
        return hf_hub_url(self.name, file, revision=self._commit, endpoint=self._endpoint)

    def near(self) -> tuple[str, ...]:
        """Repositories with a like name, best effort: none where the hub does not say."""
        with suppress(HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled, ValueError):
            return tuple(each.id for each in self._api.list_models(search=self.name.rsplit("/")[-1], limit=5))
        return ()

    @cached_property
    def files(self) -> Mapping[str, HubFile]:
        """By name. Raises `BadInput` for a repository that cannot be had, `Failed` for a hub that cannot."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._listing()
            except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
                explained, answer = self._explained(error)
                last = attempt == ATTEMPTS
                if last or not (answer is None or is_passing(answer)) or _is_offline(error):
                    raise explained from error
                self._wait(seconds_to_wait(answer, attempt, explained))
        raise AssertionError("the last attempt raises")

    @contextmanager
    def open(self, file: str) -> Iterator[RangeSource]:
        """One file as a source, of which only what is asked for is fetched."""
        size = self.files[file].bytes
        yield RangeSource(
            f"{self.name}/{file}", self.url(file), size, self._headers, self._budget, wait=self._wait
        )

    @property
    def _api(self) -> HfApi:
        return HfApi(
            endpoint=self._endpoint, headers=self._headers, library_name="labctl", library_version=__version__
        )

    def _listing(self) -> Mapping[str, HubFile]:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
            raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        try:
            info = self._api.model_info(
                self.name, revision=self._revision, files_metadata=True, timeout=_TIMEOUT_SECONDS
            )
        except HFValidationError as error:
            raise BadInput(
                "this is no name of a repository",
                where=self.name,
                found=str(error)[:120],
                expected="org/name",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failed(
                "the hub's answer is not what it should be",
                where=self._endpoint,
                found=f"{type(error).__name__}: {error}"[:120],
                hint=f"is HF_ENDPOINT a hub? Otherwise {GO_ON}",
            ) from error
        self._commit = info.sha or self._revision
        siblings = info.siblings or ()
        without = [each.rfilename for each in siblings if type(each.size) is not int or each.size < 0]
        if without:
            raise Failed(
                "the hub does not say how large this file is",
                where=f"{self.name}/{without[0]}",
                hint=f"is HF_ENDPOINT a hub? Otherwise {GO_ON}",
            )
        return {each.rfilename: _file(each) for each in siblings}

    def _explained(self, error: Exception) -> tuple[LabctlError, Answer | None]:
        if isinstance(error, HfHubHTTPError):
            answer = Answer(error.response.status_code, error.response.headers)
            return refusal(answer, self.name, self._endpoint), answer
        return unreachable(error, self.name, self._endpoint), None


def _file(sibling: RepoSibling) -> HubFile:
    large = sibling.lfs
    sha256 = large.sha256 if large else None
    return HubFile(sibling.size or 0, sha256, None if large else sibling.blob_id)


def _is_offline(error: Exception) -> bool:
    return isinstance(error, OfflineModeIsEnabled | httpx2.ConnectError | httpx2.InvalidURL)
