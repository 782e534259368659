"""What images add to vLLM's activation peak: it profiles at start with as many as a batch may hold."""

from dataclasses import replace

from labctl.estimate.claim import Request, Term
from labctl.estimate.vllm_cache import batched_tokens
from labctl.models.model import Model

NOTE = """images are profiled at start: limit them with --limit-mm-per-prompt '{"image":1}', or 0 for text alone"""
# Bytes of a tower's output per image, by architecture, where known. mllama hands on its last and five earlier hidden
# states of 1280, so 7680 numbers in 16 bits, for 4 tiles of 1601 patches, padded to 1608.
BYTES_PER_IMAGE = {"mllama": 2 * 4 * 1608 * 7680}
# Of the others: the largest image of Qwen's processors and the longest video that is profiled, tokens.
IMAGE_TOKENS, VIDEO_TOKENS = 16384, 32768
# Patches that become one token: 2 × 2 in Qwen's, Mistral's and Phi's towers, 4 × 4 in Gemma's, whose images are small.
PATCHES_PER_TOKEN, PATCHES_PER_TOKEN_MOST = 4, 16
# A tower's layer holds about 12 times its width per patch: queries, keys, values, feed-forward, residuals.
TOWER_WIDTH, TOWER_COPIES = 1280, 12
SOURCE = "allowance: https://docs.vllm.ai, encoder budget (a batch, or one image or video), × a tower's layer"


def sees(model: Model) -> bool:
    """Whether a tower is loaded with the language model."""
    return model.kind == "llm" and model.parameters.other > 0


def is_known(model: Model) -> bool:
    """Whether the size of the tower's output is known, so that no allowance is needed."""
    return model.architecture in BYTES_PER_IMAGE


def with_vision(term: Term, model: Model, request: Request) -> Term:
    """The activation peak of a model that sees; any other's as it is."""
    if not sees(model):
        return term
    if is_known(model):
        return with_images(term, request.parallel, BYTES_PER_IMAGE[model.architecture])
    batched = min(batched_tokens(request), request.parallel * request.context)
    tokens = max(batched, IMAGE_TOKENS, min(request.context, VIDEO_TOKENS))
    patches = max(PATCHES_PER_TOKEN * tokens, PATCHES_PER_TOKEN_MOST * batched)
    allowance = 2 * patches * TOWER_COPIES * TOWER_WIDTH + 3 * 2 * tokens * model.n_embd
    formula = (
        f"{term.formula}; up to 2 B × ({patches} patches × {TOWER_COPIES} × {TOWER_WIDTH} + 3 × {tokens} tokens × "
        f"{model.n_embd}) more for images"
    )
    return replace(term, high=term.high + allowance, formula=formula, source=f"{term.source}; {SOURCE}")


def with_images(term: Term, images: int, bytes_per_image: int) -> Term:
    """The activation peak when vLLM profiles a vision model: all images of a batch go through the tower together.

    bytes_per_image: of the tower's output. 3.1 copies of it: 36.63 GiB for Llama 3.2 11B Vision with 128 sequences,
    https://github.com/vllm-project/vllm/pull/12126.
    """
    once = images * bytes_per_image
    formula = f"{term.formula}; 3.1 × {images} images × {bytes_per_image} B"
    low, expected = max(term.low, 2 * once), max(term.expected, int(3.1 * once))
    return Term(term.part, term.name, low, expected, term.high + 4 * once, formula, term.source)
