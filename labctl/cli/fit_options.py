"""The words of `labctl fit`'s command line as values."""

from dataclasses import dataclass
from typing import get_args

from labctl.edges.rigs import is_number
from labctl.errors import BadInput
from labctl.estimate.claim import ALL_LAYERS, Engine, Request
from labctl.place.rules import KV_TYPES

_THOUSANDS = {"k": 1024, "m": 1024 * 1024}
MOST_TOKENS = 16 * 1024 * 1024
TEXT: tuple[Engine, ...] = ("llama.cpp", "ollama", "vllm", "transformers")
PICTURES: tuple[Engine, ...] = ("comfyui", "diffusers")
USUAL_SIZE, USUAL_OPTIMIZER = "1024x1024", "adamw"


def tokens(where: str, text: str | None) -> int | None:
    """`8192`, `32k` (32 × 1024) or `1m` as a number of tokens. Raises BadInput for anything else."""
    if text is None:
        return None
    digits, factor = text.lower(), 1
    if digits[-1:] in _THOUSANDS:
        digits, factor = digits[:-1], _THOUSANDS[digits[-1]]
    if not is_number(digits) or not 1 <= int(digits) * factor <= MOST_TOKENS:
        raise BadInput(
            "not a number of tokens",
            where=where,
            found=text or "nothing",
            expected=f"1 to {MOST_TOKENS}, as 8192 or 32k",
        )
    return int(digits) * factor


def switch(where: str, text: str | None) -> bool | None:
    """`on` or `off`; None for `auto` or nothing. Raises BadInput for anything else."""
    if text in (None, "auto"):
        return None
    if text not in ("on", "off"):
        raise BadInput("neither on nor off", where=where, found=text, expected="on, off or auto")
    return text == "on"


def size(text: str) -> tuple[int, int]:
    """`1024x768` as width and height. Raises BadInput for anything else."""
    width, _, height = text.lower().partition("x")
    if not all(is_number(side) and 64 <= int(side) <= 16384 for side in (width, height)):
        raise BadInput(
            "not a size", where="--size", found=text, expected="WIDTHxHEIGHT in pixels, as 1024x1024"
        )
    return int(width), int(height)


def kv_type(text: str | None, of: Engine) -> str:
    """A format of the KV cache; f16 unless said. Raises BadInput for one that the engine does not have."""
    named = (text or "auto").lower()
    known = KV_TYPES.get(of, ("f16",))
    if named == "auto":
        return "f16"
    if named not in known:
        raise BadInput(
            f"{of} has no KV cache in this format",
            where="--kv-type",
            found=text,
            expected=", ".join(("auto", *known)),
        )
    return named


def number(where: str, value: int | None, least: int, most: int) -> int | None:
    """The number, within bounds. Raises BadInput outside them."""
    if value is not None and not least <= value <= most:
        raise BadInput("out of bounds", where=where, found=str(value), expected=f"{least} to {most}")
    return value


def engine(text: str | None) -> Engine | None:
    """An engine by name. Raises BadInput with those there are."""
    known: tuple[Engine, ...] = get_args(Engine)
    offered = [each for each in known if each not in ("training", "declared")]
    found = next((each for each in offered if each == text), None)
    if text is not None and found is None:
        raise BadInput("no engine of that name", where="--engine", found=text, expected=", ".join(offered))
    return found


@dataclass(frozen=True)
class Question:
    """The command line of `labctl fit`, word for word."""

    model: str | None = None
    engine: str | None = None
    quants: tuple[str, ...] = ()
    context: str | None = None
    parallel: int = 1
    kv_type: str | None = None
    batch: int | None = None
    ubatch: int | None = None
    flash_attention: str | None = None
    tensor_parallel: int | None = None
    gpus: int | None = None
    n_gpu_layers: int | None = None
    n_cpu_moe: int = 0
    draft: str | None = None
    mmproj: str | None = None
    train: str | None = None
    optimizer: str | None = None
    fused_backward: bool = False
    loss_chunks: int = 1
    size: str | None = None
    frames: int | None = None
    rig: str | None = None
    # None where --gpu was not given at all.
    cards: tuple[str, ...] | None = None
    use: str | None = None
    measured: str | None = None


def request(question: Question, of: Engine, context: int) -> Request:
    """What is asked of the engine. Raises BadInput for a number out of bounds, and for options it does not have."""
    _refuse_strange(question, of)
    named = kv_type(question.kv_type, of)
    flash_attention = switch("--flash-attention", question.flash_attention)
    if of == "llama.cpp" and flash_attention is False and named not in ("f16", "bf16", "f32"):
        raise BadInput(
            "llama.cpp quantizes the cache of values only with flash attention",
            where="--kv-type",
            found=f"{named} with --flash-attention off",
            expected="f16, bf16 or f32",
            hint="or leave --flash-attention out",
        )
    batch = number("--batch", question.batch, 1, 1024 * 1024)
    parallel = number("--parallel", question.parallel, 1, 4096) or 1
    if of not in TEXT:
        parallel, batch = batch or parallel, None
    layers = number("--n-gpu-layers", question.n_gpu_layers, 0, ALL_LAYERS)
    return Request(
        engine=of,
        context=context,
        parallel=parallel,
        kv_type_k=named,
        kv_type_v=named,
        batch=batch,
        ubatch=number("--ubatch", question.ubatch, 1, 1024 * 1024),
        flash_attention=flash_attention,
        n_gpu_layers=ALL_LAYERS if layers is None else layers,
        n_cpu_moe=number("--n-cpu-moe", question.n_cpu_moe, 0, 10_000) or 0,
    )


def _refuse_strange(question: Question, of: Engine) -> None:
    """Options that this engine does not have: what is ignored would be taken for an answer."""
    ggml: tuple[Engine, ...] = ("llama.cpp", "ollama")
    _only(of, ("llama.cpp",), "--n-gpu-layers", question.n_gpu_layers is not None)
    _only(of, ("llama.cpp",), "--n-cpu-moe", question.n_cpu_moe != 0)
    _only(of, ("llama.cpp",), "--ubatch", question.ubatch is not None)
    _only(of, ("llama.cpp",), "--draft", question.draft is not None)
    _only(of, ggml, "--mmproj", question.mmproj is not None)
    _only(of, ggml, "--flash-attention", question.flash_attention is not None)
    _only(of, ("vllm",), "--tensor-parallel", (question.tensor_parallel or 1) > 1)
    _only(of, TEXT, "--kv-type", question.kv_type is not None)
    _only(of, (*TEXT, "training"), "--context", question.context is not None)
    _only(of, PICTURES, "--size", question.size is not None)
    _only(of, PICTURES, "--frames", question.frames is not None)
    _only(of, ("training",), "--optimizer", question.optimizer is not None)
    _only(of, ("training",), "--fused-backward", question.fused_backward)
    if question.fused_backward and question.train != "full":
        raise BadInput("adapters have no fused backward pass", where="--fused-backward", hint="leave it out")
    _only(of, ("training",), "--loss-chunks", question.loss_chunks != 1)
    batched: tuple[Engine, ...] = ("llama.cpp", "vllm", "training", *PICTURES, "whisper")
    _only(of, batched, "--batch", question.batch is not None)


def _only(of: Engine, able: tuple[Engine, ...], option: str, said: bool) -> None:
    if said and of not in able:
        engines = [each for each in able if each != "training"]
        ways = [f"--engine {' or '.join(engines)}"] if engines else []
        ways += ["--train METHOD"] if "training" in able else []
        raise BadInput(
            f"{of} has no such setting",
            where=option,
            expected=", or ".join(ways),
            hint="llama.cpp and transformers share a model by layers: say --gpus N"
            if option == "--tensor-parallel"
            else "leave it out",
        )


def shared_by(question: Question) -> int | None:
    """How many cards must share the model; None for any number. Raises BadInput where two options disagree."""
    ranks = number("--tensor-parallel", question.tensor_parallel, 1, 64)
    cards = number("--gpus", question.gpus, 1, 64)
    if ranks is not None and cards is not None and ranks != cards:
        raise BadInput(
            "two numbers of cards",
            where="--gpus",
            found=f"--gpus {cards} and --tensor-parallel {ranks}",
            hint="leave one of them out",
        )
    return ranks or cards
