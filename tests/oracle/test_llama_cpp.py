"""The estimator against the real llama-fit-params, run now (host), and against its recorded answers (fast)."""

from collections.abc import Iterable, Iterator
from itertools import product

import pytest

from labctl.estimate.claim import Estimate
from labctl.estimate.llama_cpp.estimate import estimate
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.model import Model
from labctl.models.source import BytesInMemory
from tests.host.cache import open_cache
from tests.oracle.cases import CACHE_TYPES, CONTEXTS, PARALLEL, Case, all_cases, covering_cases
from tests.oracle.fit_params import NoAnswer, Oracle, running
from tests.oracle.image import oracle_image
from tests.oracle.rows import BOUNDS, EXACT, complaints, numbers, recorded
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import header_bytes, write

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
    """One release was recorded, and its every step is followed: to the MiB, also where the live program may differ."""
    rows = {name: recorded(name) for name in SHAPES}
    return [
        line
        for case in cases
        for line in complaints(case, estimated(case), rows[case.model][case.key], compute=EXACT)
    ]


def test_recorded_answers_are_met() -> None:
    assert held_against_records(covering_cases()) == []


@pytest.mark.nightly
def test_all_recorded_answers_are_met() -> None:
    assert held_against_records(all_cases()) == []


def test_the_sample_has_every_pair_of_values() -> None:
    cases = covering_cases()
    assert {(case.model, case.context) for case in cases} >= set(product(SHAPES, CONTEXTS))
    assert {(case.context, case.cache) for case in cases} >= set(product(CONTEXTS, CACHE_TYPES))
    assert {(case.context, case.parallel) for case in cases} >= set(product(CONTEXTS, PARALLEL))
    assert {(case.parallel, case.cache) for case in cases} >= set(product(PARALLEL, CACHE_TYPES))
    assert {(case.model, case.n_cards) for case in cases} >= set(product(SHAPES, (1, 2, 3)))
    assert set(cases) <= set(all_cases())
    assert len({model(name).architecture for name in SHAPES}) >= 16


def test_every_case_is_recorded_and_nothing_else() -> None:
    assert {(case.model, case.key) for case in all_cases()} == {
        (name, key) for name in SHAPES for key in recorded(name)
    }


def test_a_wrong_estimate_would_be_seen() -> None:
    case = Case("llama-3.1-8b")
    [card, host] = recorded(case.model)[case.key]
    assert complaints(case, estimated(case), [card, host], compute=EXACT) == []
    for column in range(3):
        wrong = [value * 2 if index == column else value for index, value in enumerate(card)]
        assert len(complaints(case, estimated(case), [wrong, host], compute=BOUNDS)) == 1
    beside = [*card[:2], card[2] + 1]
    assert complaints(case, estimated(case), [beside, host], compute=BOUNDS) == []
    assert len(complaints(case, estimated(case), [beside, host], compute=EXACT)) == 1


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
        said += complaints(case, estimated(case), answer, compute=BOUNDS)
    return said


@pytest.mark.host
def test_the_oracle_agrees(oracle: Oracle) -> None:
    assert ask(oracle, covering_cases()) == []


@pytest.mark.host
@pytest.mark.nightly
def test_the_oracle_agrees_on_everything(oracle: Oracle) -> None:
    assert ask(oracle, all_cases()) == []


@pytest.mark.host
def test_no_answer_is_a_failure(oracle: Oracle) -> None:
    with pytest.raises(NoAnswer):
        oracle.ask("no-such-model.gguf", 1, ("-c", "4096"))
