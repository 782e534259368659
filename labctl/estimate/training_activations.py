"""What a training step takes beside parameters, gradients and optimizer states.

Three moments compete for the peak: the loss, when all layers' activations are kept and the logits exist; one layer
computed again while checkpoints are kept; and the last layer of the backward pass, when all gradients exist.
"""

from labctl.estimate.claim import Term
from labctl.estimate.training_request import Checkpointing, TrainingRequest
from labctl.models.layer import Layer
from labctl.models.model import Model

# Bytes per token and hidden unit that one layer keeps for its backward.
CHECKPOINT_BYTES: dict[Checkpointing, float] = {"selective": 18.5, "full": 2, "offloaded": 0}
COMPILED_SELECTIVE_BYTES = 16.0
# Everything kept: bytes per token and hidden unit, and per token and unit of the feed-forward. A frozen matrix in 16
# bits needs no input for its backward; one that is trained, or unpacked from 4 bits, does. Compiling fuses the norms.
KEPT_FULL, KEPT_COMPILED = (22.0, 8.0), (16.8, 6.0)
KEPT_LORA, KEPT_QLORA = (26.0, 6.0), (33.5, 8.0)
# Unfused cross entropy: logits in 16 bits, their FP32 copy, its log-softmax, the FP32 gradient; the latter three of one
# part at a time where the loss is computed in parts. Compiling fuses some of them.
LOGIT_BYTES, LOSS_BYTES, COMPILED_LOSS_BYTES, COMPILED_PART_BYTES = 2, 12, 9.3, 1
TORCHTUNE = "https://github.com/pytorch/torchtune/blob/bd2a0fc7c31430972728494fa01aaeeb0ebf1ba1/README.md"
SOURCE = (
    f"torchtune's table of techniques for Llama 3.2 3B ({TORCHTUNE}); LoRA without checkpointing: litgpt's resource "
    "tables for Llama 2 (https://github.com/Lightning-AI/litgpt/blob/26857050fe3ff627cd714fe92f5838f51a3d5efa/tutorials/"
    "resource-tables.md); selective: torchtitan's Llama 3.1 8B on 8 cards"
)


def activation_term(model: Model, request: TrainingRequest, gradient_bytes: int) -> Term:
    """Activations, logits and loss at the peak, less the gradients, which have a term of their own."""
    tokens = request.batch * request.sequence
    kept, layer = kept_bytes(model, request, tokens), _one_layer_bytes(model, request, tokens)
    loss = _loss_bytes(model, request, tokens)
    early = _early_gradient_bytes(model, request, gradient_bytes)
    spread = 0.85 if request.checkpointing in ("none", "selective") else 0.5
    least_loss = LOGIT_BYTES * tokens * model.vocab / request.loss_chunks

    def peak(share: float, logits: float) -> int:
        at_loss = early + share * kept + logits
        again = early + share * (kept + layer)
        at_end = gradient_bytes + share * layer
        return max(0, int(max(at_loss, again, at_end)) - gradient_bytes)

    formula = (
        f"the largest of {int(kept)} B kept of {tokens} tokens + {int(loss)} B of logits and loss, {int(kept)} B "
        f"kept + {int(layer)} B of one layer again, {gradient_bytes} B of gradients + that layer; less the gradients"
    )
    low, expected, high = peak(spread, least_loss), peak(1, loss), peak(1.15, 1.05 * loss)
    return Term("compute", "activations and loss", low, expected, high, formula, SOURCE)


def apart_bytes(model: Model, request: TrainingRequest, gradient_bytes: int) -> int:
    """How much more the three moments hold together than the largest alone: what a caching allocator may reserve."""
    tokens = request.batch * request.sequence
    kept, layer = kept_bytes(model, request, tokens), _one_layer_bytes(model, request, tokens)
    together = gradient_bytes + kept + layer + _loss_bytes(model, request, tokens)
    largest = gradient_bytes + activation_term(model, request, gradient_bytes).expected
    return max(0, int(together) - largest)


def _early_gradient_bytes(model: Model, request: TrainingRequest, gradient_bytes: int) -> int:
    """Gradients at the loss: the output projection's, and the sum over parts where the loss is computed in parts."""
    if request.method != "full":
        return gradient_bytes
    copies = 2 if request.loss_chunks > 1 else 1
    return min(gradient_bytes, copies * 2 * model.vocab * model.n_embd)


def kept_bytes(model: Model, request: TrainingRequest, tokens: int) -> float:
    """What the forward pass leaves for the backward, over all layers."""
    if request.checkpointing == "none":
        return sum(_whole_layer_bytes(model, request, layer, tokens) for layer in model.layers)
    per_layer = CHECKPOINT_BYTES[request.checkpointing]
    if request.checkpointing == "selective" and request.compiled:
        per_layer = COMPILED_SELECTIVE_BYTES
    return per_layer * tokens * model.n_embd * model.n_layers


def _one_layer_bytes(model: Model, request: TrainingRequest, tokens: int) -> float:
    """The widest layer's activations, made again from its checkpoint."""
    if request.checkpointing not in ("full", "offloaded"):
        return 0.0
    return max((_whole_layer_bytes(model, request, layer, tokens) for layer in model.layers), default=0.0)


def _whole_layer_bytes(model: Model, request: TrainingRequest, layer: Layer, tokens: int) -> float:
    if request.method == "full":
        per_hidden, per_unit = KEPT_COMPILED if request.compiled else KEPT_FULL
    elif request.compiled:
        per_hidden, per_unit = KEPT_COMPILED
    else:
        per_hidden, per_unit = KEPT_LORA if request.method == "lora" else KEPT_QLORA
    return tokens * (per_hidden * model.n_embd + per_unit * _feed_forward(layer))


def _feed_forward(layer: Layer) -> int:
    """Units of the feed-forward that one token goes through."""
    if layer.experts:
        return layer.experts.used * layer.experts.ff_size + layer.experts.shared_ff_size
    return layer.ff_size


def _loss_bytes(model: Model, request: TrainingRequest, tokens: int) -> float:
    """Logits, whole, and what the loss makes of them."""
    per_part: float = LOSS_BYTES
    if request.compiled_loss:
        per_part = COMPILED_PART_BYTES if request.loss_chunks > 1 else COMPILED_LOSS_BYTES
    return tokens * model.vocab * (LOGIT_BYTES + per_part / request.loss_chunks)
