"""Prints how far the estimates are from published measurements."""

import pytest

from tests.labctl.estimate.published import all_compared, left_out, report


@pytest.mark.bench
def test_estimates_beside_published_measurements() -> None:
    compared = all_compared()
    print("\n" + report(compared, left_out()))
    assert compared
