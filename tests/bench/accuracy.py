"""Prints how far labctl and other estimators are from published measurements: `python -m tests.bench.accuracy`.

Exit code 0 where labctl's 95th percentile is at most a third of each other's on the measurements that one speaks of,
else 3. `--formulas` asks only those that need no installing.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from tests.bench.accuracy_formulas import FORMULAS
from tests.bench.accuracy_peers import Peers, ask
from tests.bench.accuracy_points import Component, Point, all_points, left_to_labctl
from tests.labctl.estimate.published import all_compared, left_out, report

AIM = 1 / 3
COMPONENTS: tuple[Component, ...] = ("weights", "kv", "total", "training")
Says = Callable[[Point], float | None]
_HEAD = f"{'':30} {'n':>4} {'median':>8} {'p95':>8} {'worst':>9} {'bias':>8}"


def main() -> int:
    """Print everything; say whether the aim holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formulas", action="store_true", help="leave out what must be installed")
    asked = parser.parse_args()
    points = all_points()
    print(report(all_compared(), left_out()))
    print("\nlabctl, by engine and component\n" + _HEAD)
    for engine, component in dict.fromkeys((each.engine, each.component) for each in points):
        group = [each for each in points if (each.engine, each.component) == (engine, component)]
        print(row(f"{engine} {component}", errors(group, lambda point: point.estimated)))
    says: dict[str, Says] = {name: formula(name) for name in FORMULAS}
    if not asked.formulas:
        with tempfile.TemporaryDirectory() as folder:
            peers = ask(points, Path(folder))
        says = {name: spoken(peers, name) for name in peers.answers} | says
        print("\nwhat the installed ones had no answer for")
        for peer, reasons in peers.errors.items():
            for reason, count in sorted(reasons.items(), key=lambda each: -each[1]):
                print(f"  {peer}: {count} × {reason[:140]}")
    for what, why in left_to_labctl().items():
        print(f"  none of them: {what}: {why}")
    return compare(points, says)


def formula(name: str) -> Says:
    """A formula as something that speaks of points."""
    return lambda point: FORMULAS[name](point.subject, point.component)


def spoken(peers: Peers, name: str) -> Says:
    """An installed estimator as something that speaks of points."""
    return lambda point: peers.say(name, point)


def errors(points: Iterable[Point], says: Says) -> list[float]:
    """Estimated over measured less one, of what is spoken of."""
    found = ((point, says(point)) for point in points)
    return [value / point.measured - 1 for point, value in found if value is not None]


def percentile(values: list[float], share: float) -> float:
    """The smallest absolute error that `share` of all do not exceed."""
    ordered = sorted(abs(each) for each in values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name: str, found: list[float]) -> str:
    """One line: how many, median, 95th percentile, worst with its sign, and the mean with its sign."""
    if not found:
        return f"{name:30}    0"
    worst = max(found, key=abs)
    return (
        f"{name:30} {len(found):4} {median(abs(each) for each in found):8.2%} {percentile(found, 0.95):8.2%} "
        f"{worst:+9.1%} {sum(found) / len(found):+8.2%}"
    )


def compare(points: tuple[Point, ...], says: dict[str, Says]) -> int:
    """Each other estimator beside labctl on exactly what it speaks of. 0 where the aim holds everywhere, else 3."""
    ratios: dict[str, float] = {}
    print("\neach beside labctl on the same measurements\n" + _HEAD)
    for name, say in says.items():
        common = [point for point in points if say(point) is not None]
        theirs, ours = errors(common, say), errors(common, lambda point: point.estimated)
        if not common:
            print(row(name, theirs))
            continue
        print(row(name, theirs))
        print(row("  labctl", ours))
        unseen = [point for point in common if not point.fitted]
        print(row("  labctl, nothing fitted to it", errors(unseen, lambda point: point.estimated)))
        for component in COMPONENTS:
            part = [point for point in common if point.component == component]
            if part:
                both = (
                    percentile(errors(part, say), 0.95),
                    percentile(errors(part, lambda each: each.estimated), 0.95),
                )
                print(f"    {component:9} p95 {both[0]:8.2%}, labctl {both[1]:7.2%}, of {len(part)}")
        ratios[name] = percentile(ours, 0.95) / max(1e-9, percentile(theirs, 0.95))
    print(f"\nlabctl's 95th percentile over theirs; the aim is at most {AIM:.2f}")
    for name, ratio in sorted(ratios.items(), key=lambda each: -each[1]):
        print(f"  {name:30} {ratio:6.3f}  {'holds' if ratio <= AIM else 'DOES NOT HOLD'}")
    return 0 if all(ratio <= AIM for ratio in ratios.values()) else 3


if __name__ == "__main__":
    sys.exit(main())
