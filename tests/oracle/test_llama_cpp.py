"""The estimator against the real llama-fit-params, run now (host), and against its recorded answers (fast)."""

import json
from collections.abc import Iterable, Iterator

import pytest

from labctl.estimate.claim import Estimate
from labctl.estimate.llama_cpp.estimate import estimate
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.model import Model
from labctl.models.source import BytesInMemory
from tests.host.cache import open_cache
from tests.oracle.cases import Case, all_cases, covering_cases
from tests.oracle.fit_params import NoAnswer, Oracle, running
from tests.oracle.image import oracle_image
from tests.oracle.rows import RECORDED, complaints, numbers, recorded
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import header_bytes, write

# Where compute is not yet within bounds (mostly hybrids over several cards, or partly on the host); weights and
# caches are exact there, too. A line that is met must go.
OPEN = frozenset(json.loads((RECORDED / "open.json").read_text()))


class _Hole(BytesInMemory):
    """A header with a hole behind it, as the file would have."""

    def __init__(self, name: str) -> None:
        head, data = header_bytes(SHAPES[name]())
        super().__init__(name, head)
        self.size = len(head) + data


_MODELS: dict[str, Model] = {}


def model(name: str) -> Model:
    """Read once, from its header."""
    if name not in _MODELS:
        _MODELS[name] = model_from_gguf([read_gguf_header(_Hole(name))])
    return _MODELS[name]


def estimated(case: Case) -> Estimate:
    return estimate(model(case.model), case.request)


def held_against_records(cases: Iterable[Case]) -> list[str]:
    rows = {name: recorded(name) for name in SHAPES}
    return [line for case in cases for line in complaints(case, estimated(case), rows[case.model][case.key])]


def unexpected(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.split(" MiB, oracle")[0].rpartition(" ")[0] not in OPEN]


def test_recorded_answers_are_met() -> None:
    assert unexpected(held_against_records(covering_cases())) == []


@pytest.mark.nightly
def test_all_recorded_answers_are_met() -> None:
    found = held_against_records(all_cases())
    assert unexpected(found) == []
    assert {line.split(" MiB, oracle")[0].rpartition(" ")[0] for line in found} == OPEN


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert {(case.model, case.key) for case in all_cases()} == {
        (name, key) for name in SHAPES for key in recorded(name)
    }


def test_a_wrong_estimate_would_be_seen() -> None:
    case = Case("llama-3.1-8b")
    [card, host] = recorded(case.model)[case.key]
    assert complaints(case, estimated(case), [card, host]) == []
    for column in range(3):
        wrong = [value * 2 if index == column else value for index, value in enumerate(card)]
        assert len(complaints(case, estimated(case), [wrong, host])) == 1


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    image = oracle_image(open_cache())
    with running(image.path, 3) as found:
        found.models.mkdir(exist_ok=True)
        for name, shape in SHAPES.items():
            write(found.models / f"{name}.gguf", shape())
        yield found
    image.release()


def ask(oracle: Oracle, cases: Iterable[Case]) -> list[str]:
    said = []
    for case in cases:
        answer = numbers(oracle.ask(f"{case.model}.gguf", case.n_cards, case.arguments))
        said += complaints(case, estimated(case), answer)
    return unexpected(said)


# Nightly as long as parts of the estimate are open (tests/cases/llama_cpp/open.json): the fast loop replays the same.
@pytest.mark.host
@pytest.mark.nightly
def test_the_oracle_agrees(oracle: Oracle) -> None:
    assert ask(oracle, covering_cases()) == []


@pytest.mark.host
@pytest.mark.nightly
def test_the_oracle_agrees_on_everything(oracle: Oracle) -> None:
    assert ask(oracle, all_cases()) == []


@pytest.mark.host
@pytest.mark.nightly
def test_no_answer_is_a_failure(oracle: Oracle) -> None:
    with pytest.raises(NoAnswer):
        oracle.ask("no-such-model.gguf", 1, ("-c", "4096"))
