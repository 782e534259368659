"""Fine-tuning on one card or several: weights, gradients, optimizer states, activations, logits.

Sharding (ZeRO stages, FSDP) divides what it says it divides; what a step gathers again is counted apart.
"""

from dataclasses import dataclass
from typing import Literal

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.models.layer import Layer
from labctl.models.model import Model

Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "sgd"]
Checkpointing = Literal["none", "selective", "full", "offloaded"]
Precision = Literal["mixed", "bf16"]
Targets = Literal["all", "attention"]

ZERO = "ZeRO, arXiv:1910.02054: 2 + 2 + 12 bytes per parameter with Adam in mixed precision"
STATE_BYTES: dict[Optimizer, int] = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 0, "sgd": 0}
STATE_SOURCE = (
    "AdamW: two FP32 moments; bitsandbytes 8-bit: two bytes; paged: on the host while the card is full"
)
LORA = "LoRA, arXiv:2106.09685: rank × (inputs + outputs) per adapted matrix"
QLORA = "QLoRA, arXiv:2305.14314"
# Bytes per token and hidden unit that one layer keeps for its backward.
LAYER_BYTES: dict[Checkpointing, float] = {"none": 34, "selective": 18.5, "full": 2, "offloaded": 0}
COMPILED_SELECTIVE_BYTES = 16.0
LAYER_SOURCE = (
    "Reducing Activation Recomputation, arXiv:2205.05198: 34·s·b·h per layer with flash attention; selective fitted to "
    "torchtitan's Llama 3.1 8B on 8 cards (82.4 GiB, 77.0 compiled)"
)
# Unfused cross entropy: logits in 16 bits, their FP32 copy, its log-softmax, the FP32 gradient.
LOGIT_BYTES = 14
LOGIT_SOURCE = (
    "torch cross_entropy on BF16 logits: 2 + 4 + 4 + 4 bytes; torchtitan Llama 3.1 8B at 32768: 13.8"
)
SLACK_SOURCE = "torch's caching allocator: reserved over allocated, up to a tenth in the unsloth notebooks"
SLACK_MIB = 200


@dataclass(frozen=True)
class TrainingRequest:
    """One training job. batch: sequences per card and step; sequence: tokens.

    precision: `mixed` keeps FP32 master weights and gradients' copies, `bf16` trains the weights as they are.
    fused_backward: the optimizer steps inside the backward pass, so whole gradients never exist.
    zero_stage: 0 none (DDP), 1 optimizer, 2 and gradients, 3 and weights (FSDP). loss_chunks: parts of the logits.
    """

    method: Method
    batch: int
    sequence: int
    n_gpus: int = 1
    zero_stage: int = 0
    optimizer: Optimizer = "adamw"
    precision: Precision = "mixed"
    fused_backward: bool = False
    checkpointing: Checkpointing = "full"
    compiled: bool = False
    loss_chunks: int = 1
    lora_rank: int = 16
    lora_targets: Targets = "all"
    lora_bytes: int = 4


def estimate(model: Model, request: TrainingRequest) -> Estimate:
    """What each card holds at the peak of a step. The model's file_bytes are the weights as loaded (NF4 for QLoRA)."""
    terms = [*_parameter_terms(model, request), *_activation_terms(model, request)]
    total = sum(term.expected for term in terms)
    slack = SLACK_MIB * MIB
    formula = f"{SLACK_MIB} MiB, at most a tenth of {total} B"
    terms.append(Term("scratch", "allocator", 0, slack, slack + total // 10, formula, SLACK_SOURCE))
    paged = request.optimizer.startswith("paged")
    trained = trainable_parameters(model, request)
    host = (
        [exact("weights", "paged optimizer states", 2 * trained, f"2 B × {trained}", STATE_SOURCE)]
        if paged
        else []
    )
    return Estimate(
        model=model.name,
        request=Request(
            engine="training", context=request.sequence, parallel=request.batch, n_gpus=request.n_gpus
        ),
        cards=tuple(PlaceEstimate(str(card), (*terms, context_term())) for card in range(request.n_gpus)),
        host=PlaceEstimate("host", tuple(host)),
        confidence="low" if model.confidence == "low" else "medium",
    )


def trainable_parameters(model: Model, request: TrainingRequest) -> int:
    """How many parameters get gradients."""
    if request.method == "full":
        return model.parameters.total
    return request.lora_rank * sum(
        _adapted_width(model, layer, request.lora_targets) for layer in model.layers
    )


def _adapted_width(model: Model, layer: Layer, targets: Targets) -> int:
    """Inputs plus outputs of every matrix that an adapter is put on; routed experts are left alone."""
    hidden, width = model.n_embd, 0
    if layer.attention and not layer.attention.latent:
        attention = layer.attention
        queries = attention.n_head * attention.head_dim_k
        keys, values = attention.n_head_kv * attention.head_dim_k, attention.n_head_kv * attention.head_dim_v
        width += 2 * (hidden + queries) + (hidden + keys) + (hidden + values)
    if targets == "all" and layer.ff_size:
        width += 3 * (hidden + layer.ff_size)
    return width


def _parameter_terms(model: Model, request: TrainingRequest) -> list[Term]:
    stage = request.zero_stage
    states_on = request.n_gpus if stage >= 1 else 1
    weights_on = request.n_gpus if stage >= 3 else 1
    trained = trainable_parameters(model, request)
    full = request.method == "full"
    parameter_bytes = 2 * trained if full else model.file_bytes
    # FSDP shards the FP32 masters themselves and gathers them in BF16.
    fsdp_master = full and request.precision == "mixed" and stage == 3
    held = 0 if fsdp_master else parameter_bytes
    terms = [_sharded("weights", held, weights_on, "as loaded", ZERO)]
    if not full:
        n_bytes = request.lora_bytes * trained
        terms.append(exact("weights", "adapters", n_bytes, f"{request.lora_bytes} B × {trained}", LORA))
    if full and request.precision == "mixed":
        terms.append(_sharded("FP32 master weights", 4 * trained, states_on, f"4 B × {trained}", ZERO))
    terms.append(_gradients(model, request, trained))
    state = STATE_BYTES[request.optimizer]
    terms.append(
        _sharded("optimizer states", state * trained, states_on, f"{state} B × {trained}", STATE_SOURCE)
    )
    if weights_on > 1:
        terms.append(_gathered(model, request))
    if request.method == "qlora":
        largest = max((3 * layer.ff_size * model.n_embd for layer in model.layers), default=0) // 3
        formula = f"2 B × {largest}: one matrix in 16 bits while it multiplies"
        terms.append(exact("scratch", "dequantized weight", 2 * largest, formula, QLORA))
    return terms


def _sharded(name: str, n_bytes: int, cards: int, formula: str, source: str) -> Term:
    """cards: among how many it is divided; 1 where every card holds all of it."""
    share = -(-n_bytes // cards)
    return exact("weights", name, share, f"{formula}, / {cards} cards" if cards > 1 else formula, source)


def _gradients(model: Model, request: TrainingRequest, trained: int) -> Term:
    sharded_masters = request.precision == "mixed" and request.zero_stage == 3
    each = 4 if sharded_masters or request.method != "full" else 2
    if request.fused_backward and request.method == "full":
        largest = max(model.parameters.embedding, model.parameters.output)
        chunks = 2 if request.loss_chunks > 1 else 1
        formula = (
            f"{chunks} × 2 B × {largest}: the largest matrix alone, and its sum over the parts of the loss"
        )
        return exact(
            "weights", "gradients", chunks * 2 * largest, formula, "optimizer step inside the backward pass"
        )
    dealt_to = request.n_gpus if request.zero_stage >= 2 else 1
    return _sharded("gradients", each * trained, dealt_to, f"{each} B × {trained}", ZERO)


def _gathered(model: Model, request: TrainingRequest) -> Term:
    """Two layers and the output projection, whole: one in use, the next on its way."""
    counted = model.parameters
    per_layer = (counted.layers + counted.experts) // max(1, model.n_layers)
    width = 2.0
    if request.method == "qlora":
        width = (model.file_bytes - 2 * (counted.embedding + counted.output)) / (
            counted.layers + counted.experts
        )
    largest = max(counted.embedding, counted.output)
    n_bytes = int(2 * per_layer * width) + 2 * largest
    formula = f"2 layers × {per_layer} × {width:.2f} B + 2 B × {largest}"
    return exact(
        "scratch", "gathered weights", n_bytes, formula, "FSDP: all-gather with one layer of prefetch"
    )


def _activation_terms(model: Model, request: TrainingRequest) -> list[Term]:
    tokens = request.batch * request.sequence
    per_layer = LAYER_BYTES[request.checkpointing]
    if request.checkpointing == "selective" and request.compiled:
        per_layer = COMPILED_SELECTIVE_BYTES
    kept = int(per_layer * tokens * model.n_embd * model.n_layers)
    formula = f"{per_layer} B × {tokens} tokens × {model.n_embd} × {model.n_layers} layers"
    spread = 0.9 if request.checkpointing in ("none", "selective") else 0.5
    terms = [
        Term("compute", "saved activations", int(spread * kept), kept, int(1.1 * kept), formula, LAYER_SOURCE)
    ]
    if request.checkpointing in ("full", "offloaded"):
        one = int(LAYER_BYTES["none"] * tokens * model.n_embd)
        formula = f"34 B × {tokens} tokens × {model.n_embd}: one layer again"
        terms.append(
            Term("compute", "recomputed layer", one // 2, one, int(1.2 * one), formula, LAYER_SOURCE)
        )
    logits = LOGIT_BYTES * tokens * model.vocab // request.loss_chunks
    formula = f"{LOGIT_BYTES} B × {tokens} tokens × {model.vocab} / {request.loss_chunks}"
    low = 2 * tokens * model.vocab // request.loss_chunks
    terms.append(Term("compute", "logits and loss", low, logits, int(1.05 * logits), formula, LOGIT_SOURCE))
    return terms
