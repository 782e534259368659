"""What is asked of a training job."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "sgd"]
Checkpointing = Literal["none", "selective", "full", "offloaded"]
Precision = Literal["mixed", "bf16"]
Targets = Literal["all", "attention", "qv"]


@dataclass(frozen=True)
class TrainingRequest:
    """One training job. batch: sequences per card and step; sequence: tokens.

    precision: `mixed` keeps FP32 master weights and gradients' copies, `bf16` trains the weights as they are.
    fused_backward: the optimizer steps inside the backward pass, so whole gradients never exist.
    zero_stage: 0 none (DDP), 1 optimizer, 2 and gradients, 3 and weights (FSDP). compiled, compiled_loss: whether the
    layers and the loss are fused (torch.compile, unsloth's kernels). loss_chunks: parts in which the loss is computed.
    lora_targets: which matrices get an adapter. lora_bytes: of each of its parameters; gradient and moments follow.
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
    compiled_loss: bool = False
    loss_chunks: int = 1
    lora_rank: int = 16
    lora_targets: Targets = "all"
    lora_bytes: int = 4
