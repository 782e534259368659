"""Images and video: what ComfyUI, diffusers and stable-diffusion.cpp hold while they denoise and decode.

Resident weights are counted from parameters. The peak on top of them is the larger of denoising and decoding, which
never run at once. What is measured is interpolated (stable-diffusion.cpp's buffers), the rest is a range.
"""

from dataclasses import dataclass, replace
from typing import Literal

from labctl.estimate.claim import MIB, Engine, Estimate, PlaceEstimate, Request, Term
from labctl.estimate.context import context_term
from labctl.models.diffusion import DiffusionModel, Encoder
from labctl.models.quantization import Quantization

SD_CPP = "https://github.com/leejet/stable-diffusion.cpp/blob/97d2990807fe6d558e395f8764198d7c7e7b411c/docs/flux.md"
GIB = 1024 * MIB
# Elements of 2 bytes per token and hidden unit while a transformer denoises. Fitted to the vendors' peaks: HunyuanVideo
# at 720x1280 and 544x960 over 129 frames differ by 51, Wan2.1-1.3B at 480P over 81 frames holds 59.
ACTIVATION = (47, 55, 63)
ACTIVATION_SOURCE = "HunyuanVideo README (60 and 45 GB peak), Wan2.1 README (8.19 GB)"
# VAE of Stable Diffusion and Flux: 13 buffers of 128 channels, and 100 MiB; tiles are 512 pixels wide.
VAE_CHANNELS, VAE_BUFFERS, VAE_TILE = 128, 13, 512
VAE_SOURCE = "stable-diffusion.cpp, vae.hpp compute buffers as gguf-parser-go fits them: W·H·13·128 + 100 MiB"
# What decoding an image takes per pixel, in elements: as allocated, and as reserved with what cuDNN tried first.
DECODED_ELEMENTS, RESERVED_ELEMENTS, COMFY_ELEMENTS = 1250, 2300, 2178
DECODE_SOURCE = (
    "diffusers at 1024 pixels: SD3 medium 2.4 GiB allocated, https://huggingface.co/blog/quanto-diffusers; FLUX.1-dev "
    "4.5 to 4.7 GiB reserved, https://huggingface.co/datasets/derekl35/diffusers-quantization-benchmarks; "
    "2178 in ComfyUI's comfy/sd.py"
)
COMFY_SOURCE = (
    "ComfyUI model_management.py: 1.1 × model, and max(0.8 GiB + reserve, need + reserve), reserve 400 MiB"
)
DiffusionEngine = Literal["comfyui", "diffusers", "stable-diffusion.cpp"]


@dataclass(frozen=True)
class DiffusionRequest:
    """width, height: pixels; frames: 1 for an image.

    offload: `model` keeps only the part in use on the card, `encoders` computes the text on the host's processor.

    backbone, encoder: formats of their weights. vae_tiling: decode in tiles, as ComfyUI does when memory is short.
    quantized_on_load: by diffusers' and transformers' own configuration, which leaves T5's `wo` in 16 bits; otherwise
    all linear layers are quantized afterwards.
    """

    engine: DiffusionEngine
    width: int
    height: int
    backbone: Quantization
    encoder: Quantization
    frames: int = 1
    batch: int = 1
    flash_attention: bool = True
    offload: Literal["none", "model", "encoders"] = "none"
    vae_tiling: bool = False
    quantized_on_load: bool = True


def estimate(model: DiffusionModel, request: DiffusionRequest) -> Estimate:
    """What one card and the host hold. weights: parts resident while denoising; scratch: what ComfyUI keeps free."""
    offloaded = request.offload != "none" or request.engine == "comfyui"
    backbone = _backbone(model, request)
    encoders = [_encoder(each, request) for each in model.encoders]
    vae = _vae(model, request)
    resident = [backbone, vae] if offloaded else [backbone, *encoders, vae]
    terms = (
        *resident,
        *_working(model, request, backbone if offloaded and request.offload != "encoders" else None),
    )
    encoding = sum(term.expected for term in encoders)
    notes = []
    if offloaded and request.offload != "encoders":
        # The encoder's turn can be the longer one: a T5 in 16 bits beside a backbone in 4.
        waiting = max(0, encoding - sum(term.expected for term in terms))
        formula = f"text encoders {encoding} B go first; so much more than what follows them"
        terms = (*terms, Term("scratch", "text encoding", 0, waiting, waiting, formula, COMFY_SOURCE))
        notes.append("text encoders and backbone take turns on the card")
    if request.engine == "comfyui":
        terms = (*terms, _comfy_reserve(backbone, terms))
    engine: Engine = "comfyui" if request.engine == "comfyui" else "diffusers"
    off_card = encoders if offloaded else []
    return Estimate(
        model=model.name,
        request=Request(
            engine=engine, context=0, batch=request.batch, flash_attention=request.flash_attention
        ),
        cards=(PlaceEstimate("0", (*terms, context_term())),),
        host=PlaceEstimate("host", tuple(off_card)),
        confidence="medium",
        notes=tuple(notes),
    )


def _backbone(model: DiffusionModel, request: DiffusionRequest) -> Term:
    # Where experts take turns, engines hold one (Wan 2.2 in ComfyUI and diffusers with offload), else all.
    held = 1 if request.offload != "none" or request.engine == "comfyui" else model.backbone.experts
    n_bytes = held * request.backbone.linear_bytes(model.backbone.parameters)
    formula = f"{held} × {model.backbone.parameters} × {request.backbone.bits_per_weight} bit"
    # Norms and biases stay in 16 bits: 0.1 to 0.3 % of the bytes, 2.7 % in torchao's INT8.
    more = n_bytes // 100 if request.backbone.bits_per_weight >= 16 else 3 * n_bytes // 100
    low = n_bytes if request.backbone.bits_per_weight >= 16 else 995 * n_bytes // 1000
    if request.backbone.container == "gguf" and request.engine != "stable-diffusion.cpp":
        wide = int(held * model.backbone.parameters * max(0.0, 16 - request.backbone.bits_per_weight) / 8)
        formula += ", 2 to 5 % of them in 16 bits"
        n_bytes, more = n_bytes + wide // 50, 3 * wide // 100
    return Term("weights", "backbone", low, n_bytes, n_bytes + more, formula, model.backbone.source)


def _encoder(encoder: Encoder, request: DiffusionRequest) -> Term:
    low = n_bytes = request.encoder.linear_bytes(encoder.parameters)
    formula = f"{encoder.parameters} × {request.encoder.bits_per_weight} bit"
    if request.encoder.name == "float16" and encoder.fp32_parameters:
        formula += f" + {encoder.fp32_parameters} × 16 bit that transformers keeps in FP32"
        n_bytes += 2 * encoder.fp32_parameters
    if request.encoder.keeps_16bit:
        formula += f", {encoder.embedding_parameters} of them in 16 bit"
        n_bytes += 2 * encoder.embedding_parameters - request.encoder.linear_bytes(
            encoder.embedding_parameters
        )
    if request.encoder.name.startswith("nf4") and encoder.fp32_parameters:
        # bitsandbytes quantizes what transformers leaves to it, and that is not what it keeps in FP32.
        formula += f", {encoder.fp32_parameters} of them in FP32"
        n_bytes += 4 * encoder.fp32_parameters - request.encoder.linear_bytes(encoder.fp32_parameters)
    elif request.engine == "diffusers" and request.quantized_on_load and request.encoder.bits_per_weight < 16:
        formula += f", {encoder.fp32_parameters} of them in 16 bit"
        n_bytes += 2 * encoder.fp32_parameters - request.encoder.linear_bytes(encoder.fp32_parameters)
    more = n_bytes // 100 if request.encoder.bits_per_weight >= 16 else 3 * n_bytes // 100
    return Term("weights", encoder.name, low, n_bytes, n_bytes + more, formula, encoder.source)


def _vae(model: DiffusionModel, request: DiffusionRequest) -> Term:
    width = 4 if model.vae.fp32 else 2
    n_bytes = width * (model.vae.parameters or 0)
    # It, too, leaves the card while the backbone works, if parts take turns.
    low = 0 if request.offload == "model" else n_bytes
    formula = f"{model.vae.parameters} × {width} B"
    return Term("weights", "VAE", low, n_bytes, n_bytes, formula, model.vae.source)


def _working(model: DiffusionModel, request: DiffusionRequest, leaves: Term | None) -> tuple[Term, ...]:
    """The larger of denoising and decoding, and what the allocator reserves for it.

    leaves: the backbone, where it makes room for decoding. ComfyUI does that only when memory is short.
    """
    denoising, decoding = denoising_term(model, request), _decoding(model, request)
    if leaves is not None:
        low, expected = (max(0, bound - leaves.low) for bound in (decoding.low, decoding.expected))
        high = decoding.high if request.engine == "comfyui" else max(0, decoding.high - leaves.low)
        decoding = replace(decoding, low=low, expected=expected, high=high)
    larger = denoising if denoising.expected >= decoding.expected else decoding
    smaller = decoding if larger is denoising else denoising
    working = replace(
        larger,
        name=f"{larger.name} (more than {smaller.name})",
        low=max(larger.low, smaller.low),
        high=max(larger.high, smaller.high),
    )
    if larger is denoising or request.engine != "diffusers" or model.kind == "video":
        return (working,)
    more = decoding.expected * RESERVED_ELEMENTS // DECODED_ELEMENTS - decoding.expected
    formula = f"{RESERVED_ELEMENTS} / {DECODED_ELEMENTS} of what decoding allocates"
    return (working, Term("scratch", "allocator", 0, more, more * 6 // 5, formula, DECODE_SOURCE))


def denoising_term(model: DiffusionModel, request: DiffusionRequest) -> Term:
    """What the backbone takes beside its weights while it denoises."""
    pixels = request.width * request.height
    measured = model.compute_flash if request.flash_attention else model.compute_plain
    if request.engine == "stable-diffusion.cpp" and measured is not None:
        n_bytes = int(measured.mib(pixels) * MIB) * request.batch
        formula = f"compute buffer at {pixels} pixels, from the measured sizes around it"
        return Term(
            "compute",
            "denoising",
            int(0.97 * n_bytes),
            n_bytes,
            int(1.05 * n_bytes),
            formula,
            measured.source,
        )
    tokens = model.tokens(request.width, request.height, request.frames) * request.batch
    low, expected, high = (2 * each * tokens * model.backbone.hidden for each in ACTIVATION)
    formula = f"2 B × {ACTIVATION[1]} × {tokens} tokens × {model.backbone.hidden}"
    if not request.flash_attention:
        # Scores of one chunk at a time, as xformers-less ComfyUI slices them, up to a quarter more.
        high += high // 4
    return Term("compute", "denoising", low, expected, high, formula, ACTIVATION_SOURCE)


def _decoding(model: DiffusionModel, request: DiffusionRequest) -> Term:
    if model.vae_decode is not None:
        pixels = request.width * request.height * request.frames
        n_bytes = int(pixels * model.vae_decode.bytes_per_pixel)
        formula = f"{pixels} pixels × {model.vae_decode.bytes_per_pixel} B"
        return Term(
            "compute",
            "decoding",
            int(0.95 * n_bytes),
            n_bytes,
            int(1.05 * n_bytes),
            formula,
            model.vae_decode.source,
        )
    # Video VAEs decode a few latent frames at a time and cache the rest; one frame is what is on the table.
    width, height = request.width, request.height
    if request.vae_tiling:
        width, height = min(width, VAE_TILE), min(height, VAE_TILE)
    if request.engine == "stable-diffusion.cpp" or model.kind == "video":
        n_bytes = width * height * VAE_BUFFERS * VAE_CHANNELS + 100 * MIB
        formula = f"{width}·{height}·{VAE_BUFFERS}·{VAE_CHANNELS} + 100 MiB"
        source = VAE_SOURCE
    else:
        element = 4 if model.vae.fp32 else 2
        elements = COMFY_ELEMENTS if request.engine == "comfyui" else DECODED_ELEMENTS
        n_bytes = request.batch * width * height * elements * element
        formula = f"{request.batch} × {width}·{height} × {elements} × {element} B"
        source = DECODE_SOURCE
    return Term("compute", "decoding", n_bytes // 2, n_bytes, int(1.15 * n_bytes), formula, source)


def _comfy_reserve(backbone: Term, terms: tuple[Term, ...]) -> Term:
    """What ComfyUI wants free before it loads a model in full; with less it loads a part, more slowly."""
    working = sum(term.expected for term in terms if term.part == "compute")
    wanted = backbone.expected // 10 + max(int(0.8 * GIB) + 400 * MIB, working + 400 * MIB) - working
    formula = "0.1 × model + max(0.8 GiB, need) + 400 MiB − need"
    return Term("scratch", "kept free for loading", 0, 0, max(0, wanted), formula, COMFY_SOURCE)
