"""Tokens a second: decoding is bound by memory bandwidth, reading the prompt by arithmetic.

One token: every active weight and the cache are read once, plus a fixed cost per layer (kernel launches, small
matrices). Cards that share a model by layers take turns, so their times add, and a token's state is copied from one to
the next; tensor parallelism divides them and pays for two all-reduces per layer.
"""

from dataclasses import dataclass

from labctl.estimate.range import Range
from labctl.models.model import Model
from labctl.rig.gpu import Gpu
from labctl.rig.power_curve import Work

TABLE = "https://github.com/XiongjieDai/GPU-Benchmarks-on-LLM-Inference (Llama 3 8B and 70B, Q4_K_M and F16, 16 cards)"
OSMARKS = "https://osmarks.net/mlrig/ (DeepSeek-R1 on one and two EPYC, P40)"
HOME_LAB = "My new home AI server (Llama 8B on nine cards)"
# Share of the data sheet's bandwidth that reading weights reaches: slow, expected, fast.
BANDWIDTH_SHARE = (0.80, 0.90, 0.95)
# Cards with HBM have more bandwidth than one request can ask for: A100 and H100 in the same table.
HBM_BANDWIDTH_SHARE = (0.55, 0.75, 0.92)
HBM_CAPABILITIES = {(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)}
# Before Volta, unpacking quantized weights is what takes the time: P40 30 to 40 tokens a second of Llama 8B.
OLD_BANDWIDTH_SHARE = (0.25, 0.45, 0.75)
# Milliseconds per layer and token that no bandwidth helps with: fast 0.05 (RTX 5080), slow 0.22 (H100).
LAYER_MS = (0.22, 0.10, 0.05)
# Multiply-adds per SM and clock that reading a prompt is measured against, on any card with tensor cores.
PREFILL_FMA = 256
PREFILL_SHARE = (0.40, 0.70, 1.20)
# Cards without tensor cores: share of their FP32 rate; dp4a takes Pascal over it.
PREFILL_PLAIN_SHARE = (0.2, 0.6, 1.2)
# Share of the memory bandwidth that processors reach; across two sockets, half of the reads are remote.
CPU_SHARE = (0.35, 0.58, 0.80)
TWO_SOCKET_SHARE = (0.22, 0.35, 0.65)
# All-reduce of one token's hidden state: latency, milliseconds, over NVLink and over PCIe.
REDUCE_MS = {True: (0.03, 0.015, 0.008), False: (0.08, 0.03, 0.012)}


@dataclass(frozen=True)
class CardShare:
    """A card and what it reads per token. weight_bytes: active weights on it; cache_bytes: at the context in use."""

    gpu: Gpu
    weight_bytes: int
    cache_bytes: int = 0
    power_limit_watts: int | None = None


@dataclass(frozen=True)
class HostShare:
    """What the processor reads per token. bandwidth_gbs: of all sockets together, from the data sheet."""

    weight_bytes: int
    bandwidth_gbs: float
    sockets: int = 1


@dataclass(frozen=True)
class Speed:
    """Tokens a second of one request. prefill: None without a card to read the prompt. sources: of every constant."""

    decode: Range
    prefill: Range | None
    sources: tuple[str, ...]


def active_bytes(model: Model) -> int:
    """Bytes of weights that one token reads: of the experts those in use, of the embedding one row."""
    total = model.parameters.total
    return int(model.file_bytes * model.active_parameters / total) if total else model.file_bytes


def speed(
    model: Model,
    cards: tuple[CardShare, ...],
    host: HostShare | None = None,
    *,
    tensor_parallel: bool = False,
) -> Speed | None:
    """What one request gets. None where a card's bandwidth is unknown, or nothing runs anywhere."""
    if not cards and host is None:
        return None
    if any(card.gpu.bandwidth_gbs is None for card in cards):
        return None
    layers = max(1, model.n_layers)
    sources = [TABLE]
    milliseconds = []
    for case in range(3):  # slow, expected, fast
        times = [_card_ms(card, case) for card in cards]
        total = max(times, default=0.0) if tensor_parallel else sum(times)
        total += layers * LAYER_MS[case]
        # A copy from card to card waits as long as an all-reduce does: both are latency, at a few kilobytes.
        if len(cards) > 1:
            copies = 2 * layers if tensor_parallel else len(cards) - 1
            total += copies * REDUCE_MS[all(card.gpu.nvlink for card in cards)][case]
        if host is not None:
            share = (TWO_SOCKET_SHARE if host.sockets > 1 else CPU_SHARE)[case]
            total += host.weight_bytes / (host.bandwidth_gbs * 1e6 * share)
        milliseconds.append(total)
    if host is not None:
        sources.append(OSMARKS)
    if any(card.gpu.capability < (7, 0) for card in cards):
        sources.append(HOME_LAB)
    limited = [card.gpu.power_curve for card in cards if card.power_limit_watts and card.gpu.power_curve]
    sources += dict.fromkeys(source for curve in limited for source in curve.sources)
    slow, expected, fast = (1000 / each for each in milliseconds)
    return Speed(Range(slow, expected, fast), _prefill(model, cards, host, tensor_parallel), tuple(sources))


def _card_ms(card: CardShare, case: int) -> float:
    bandwidth = (card.gpu.bandwidth_gbs or 0.0) * 1e6 * _bandwidth_share(card.gpu)[case]
    return (card.weight_bytes + card.cache_bytes) / bandwidth / power_factor(card, "decode")


def _bandwidth_share(gpu: Gpu) -> tuple[float, float, float]:
    if gpu.capability < (7, 0):
        return OLD_BANDWIDTH_SHARE
    return HBM_BANDWIDTH_SHARE if gpu.capability in HBM_CAPABILITIES else BANDWIDTH_SHARE


def power_factor(card: CardShare, work: Work) -> float:
    """Speed under the card's power limit over its speed at full power; 1 where limit, TDP or curve are unknown."""
    limit, full, curve = card.power_limit_watts, card.gpu.tdp_watts, card.gpu.power_curve
    return max(0.01, curve.kept(work, limit / full)) if limit and full and curve else 1.0


def _prefill(
    model: Model, cards: tuple[CardShare, ...], host: HostShare | None, tensor_parallel: bool
) -> Range | None:
    """Prompt tokens a second. Cards that take turns each read their share of the layers; the host's part is its own."""
    rates = [_multiply_adds(card.gpu) for card in cards]
    if not rates or None in rates or host is not None:
        return None
    work = 2 * model.active_parameters
    total = sum(card.weight_bytes for card in cards) or 1
    seconds = []
    for case in range(3):
        each = [
            work * card.weight_bytes / total / ((rate or 1.0) * _prefill_share(card.gpu)[case])
            / power_factor(card, "prefill")
            for card, rate in zip(cards, rates, strict=True)
        ]  # fmt: skip
        seconds.append(max(each) * (1.3 if len(cards) > 1 else 1) if tensor_parallel else sum(each))
    slow, expected, fast = (1 / each for each in seconds)
    return Range(slow, expected, fast)


def _prefill_share(gpu: Gpu) -> tuple[float, float, float]:
    return PREFILL_SHARE if gpu.tensor_cores else PREFILL_PLAIN_SHARE


def _multiply_adds(gpu: Gpu) -> float | None:
    """Operations a second that prompt processing is measured against."""
    if gpu.tensor_cores and gpu.streaming_multiprocessors and gpu.boost_mhz:
        return 2 * PREFILL_FMA * gpu.streaming_multiprocessors * gpu.boost_mhz * 1e6
    return gpu.fp32_tflops * 1e12 if gpu.fp32_tflops else None
