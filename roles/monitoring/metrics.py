"""The metrics of cards, by their names: what Prometheus, alerts and dashboards rely on.

Each has the label `uuid`. Units are Prometheus' base units: watts, bytes, hertz, degrees Celsius, ratios of 0 to 1.
What a card does not tell is not there: no fan of a passive card, no ECC errors of a GeForce.

Beside those in the list:

    labctl_gpu_up                   1: every card answers; 0: one does not, or none could be asked
    labctl_gpu_cards                how many answered
    labctl_gpu_info                 1 for each card, with the labels name, bus and driver
    labctl_gpu_throttled            1 while the clock is lowered for the label reason, else 0
    node_textfile_mtime_seconds     the exporter's own: when all this was written
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """name: without `labctl_gpu_`. field: of `nvidia-smi --query-gpu`. factor: to the base unit. label: one more."""

    name: str
    field: str
    help: str
    factor: float = 1
    kind: str = "gauge"
    label: str = ""


_MIB, _MHZ, _PERCENT = 1_048_576, 1_000_000, 0.01
_ERRORS = "Errors of the memory since the driver was loaded"

METRICS = (
    Metric("temperature_celsius", "temperature.gpu", "Temperature of the chip"),
    Metric("fan_ratio", "fan.speed", "Fan speed asked for", _PERCENT),
    Metric("power_draw_watts", "power.draw", "Power drawn"),
    Metric("power_limit_watts", "power.limit", "Power limit in force"),
    Metric("memory_total_bytes", "memory.total", "Memory of the card", _MIB),
    Metric("memory_used_bytes", "memory.used", "Memory in use", _MIB),
    Metric("utilization_ratio", "utilization.gpu", "Time in which something was computed", _PERCENT),
    Metric("graphics_clock_hertz", "clocks.gr", "Graphics clock", _MHZ),
    Metric("memory_clock_hertz", "clocks.mem", "Memory clock", _MHZ),
    Metric(
        "ecc_errors_total",
        "ecc.errors.corrected.volatile.total",
        _ERRORS,
        kind="counter",
        label='type="corrected"',
    ),
    Metric(
        "ecc_errors_total",
        "ecc.errors.uncorrected.volatile.total",
        _ERRORS,
        kind="counter",
        label='type="uncorrected"',
    ),
    Metric(
        "pcie_link_generation", "pcie.link.gen.current", "PCIe generation at this moment; lower when idle"
    ),
    Metric("pcie_link_generation_max", "pcie.link.gen.max", "PCIe generation that card and slot can do"),
    Metric("pcie_link_lanes", "pcie.link.width.current", "PCIe lanes at this moment"),
    Metric("pcie_link_lanes_max", "pcie.link.width.max", "PCIe lanes that card and slot have"),
)

REASONS = (
    "sw_power_cap",
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
)
"""Why a clock may be lowered: nvidia-smi's `clocks_event_reasons.*`, before driver 535 `clocks_throttle_reasons.*`."""

FIELDS = (
    "uuid",
    *(metric.field for metric in METRICS),
    *(f"clocks_event_reasons.{reason}" for reason in REASONS),
    "pci.bus_id",
    "driver_version",
    "name",  # last: nobody promises that it holds no comma
)
