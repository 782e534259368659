"""Series of wall times: who is measured when, and what is made of it."""

import subprocess
import sys
from functools import partial

from tests.bench.measurement import Ratio, Series, take_turns


def test_they_take_turns_and_the_first_round_is_not_counted() -> None:
    order: list[str] = []
    taken = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2)
    assert order == ["a", "b"] * 3
    assert [len(series.seconds) for series in taken.values()] == [2, 2]


def test_the_ratio_is_that_of_the_medians_and_the_spread_that_of_the_pairs() -> None:
    ratio = Ratio(_series(1.0, 2.0, 9.0), _series(4.0, 4.0, 3.0))
    assert ratio.value == 0.5
    assert str(ratio) == "  0.50     (0.25 to 3.00 in pairs)"


def test_a_series_says_its_median_and_its_ends() -> None:
    assert str(_series(1.5, 1.25, 3.0)) == "  1.50 s   (1.25 to 3.00)      1.00 s of client CPU"


def test_what_a_child_computes_is_counted_and_what_it_waits_is_not() -> None:
    python = partial(subprocess.run, check=True)
    busy = partial(python, [sys.executable, "-c", "sum(range(20_000_000))"])
    idle = partial(python, [sys.executable, "-c", "import time; time.sleep(0.5)"])
    taken = take_turns({"busy": busy, "idle": idle}, rounds=1)
    assert taken["busy"].cpu_seconds[0] > taken["idle"].cpu_seconds[0] + 0.1


def _series(*seconds: float) -> Series:
    return Series(seconds, (1.0,) * len(seconds))
