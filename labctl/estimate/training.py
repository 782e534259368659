"""Fine-tuning on one card or several: weights, gradients, optimizer states, activations, logits.

Sharding (ZeRO stages, FSDP) divides what it says it divides; what a step gathers again is counted apart.
"""

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.estimate.training_activations import activation_term, apart_bytes
from labctl.estimate.training_request import Optimizer, Targets, TrainingRequest
from labctl.models.layer import Layer
from labctl.models.model import Model

ZERO = "ZeRO, arXiv:1910.02054: 2 + 2 + 12 bytes per parameter with Adam in mixed precision"
STATE_BYTES: dict[Optimizer, int] = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 0, "sgd": 0}
STATE_SOURCE = (
    "AdamW: two FP32 moments; bitsandbytes 8-bit: two bytes; paged: on the host while the card is full"
)
STEP_SOURCE = (
    "torchao AdamW8bit: 1.5 GiB beyond weights, states and logits in torchtune's table, Llama 3.2 3B"
)
LORA = "LoRA, arXiv:2106.09685: rank × (inputs + outputs) per adapted matrix"
QLORA = "QLoRA, arXiv:2305.14314"
SLACK_SOURCE = "torch's caching allocator: reserved over allocated, up to a tenth in the unsloth notebooks"
SLACK_MIB = 200


def estimate(model: Model, request: TrainingRequest) -> Estimate:
    """What each card holds at the peak of a step. The model's file_bytes are the weights as loaded (NF4 for QLoRA)."""
    gradients = _gradients(model, request, trainable_parameters(model, request))
    terms = [
        *_parameter_terms(model, request),
        gradients,
        activation_term(model, request, gradients.expected),
    ]
    total = sum(term.expected for term in terms)
    apart = apart_bytes(model, request, gradients.expected)
    slack = SLACK_MIB * MIB + apart
    formula = f"{SLACK_MIB} MiB + {apart} B that peak at other moments, and at most a tenth of {total} B"
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
        width += (hidden + queries) + (hidden + values)
        if targets != "qv":
            width += (hidden + queries) + (hidden + keys)
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
    state = STATE_BYTES[request.optimizer]
    if request.optimizer == "adamw":
        # AdamW's moments have the type of what they belong to: BF16 where BF16 is trained as it is.
        state = 4 if (full and request.precision == "bf16") or (not full and request.lora_bytes == 2) else 8
    terms.append(
        _sharded("optimizer states", state * trained, states_on, f"{state} B × {trained}", STATE_SOURCE)
    )
    if weights_on > 1:
        terms.append(_gathered(model, request))
    if full and request.optimizer == "adamw_8bit":
        largest = max(model.parameters.embedding, model.parameters.output)
        formula = f"6 B × {largest}: the largest matrix and its gradient while it is stepped"
        terms.append(Term("scratch", "optimizer step", 0, 6 * largest, 6 * largest, formula, STEP_SOURCE))
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
    each = 2 if request.method == "full" else request.lora_bytes
    if sharded_masters:
        each = 4
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
