"""`labctl fit`: what a model takes, and what it fits on, before anything is bought or deployed."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from labctl.cli.options import Json, comma_separated


def fit(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer reads a command
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A catalogue name, a .gguf file, a directory with config.json, or org/name on the hub. "
            "Without one: what of the catalogue fits, by use.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE", help="llama.cpp, ollama, vllm, transformers, comfyui, diffusers, whisper."
        ),
    ] = None,
    quant: Annotated[
        list[str] | None, typer.Option(metavar="Q,…", help="Formats of the weights, as Q4_K_M, awq, fp8.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="N", help="Tokens that each request may reach, as 8192 or 32k.")
    ] = None,
    parallel: Annotated[int, typer.Option(metavar="N", help="Requests at once.")] = 1,
    kv_type: Annotated[
        str | None, typer.Option(metavar="T", help="Format of the KV cache, as f16, q8_0, fp8.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Tokens per batch; with --train sequences per step, of images how many at once."
        ),
    ] = None,
    ubatch: Annotated[int | None, typer.Option(metavar="N", help="llama.cpp's physical batch.")] = None,
    flash_attention: Annotated[
        str | None, typer.Option(metavar="on|off", help="The engine's default unless said.")
    ] = None,
    tensor_parallel: Annotated[
        int | None, typer.Option(metavar="N", help="Ranks that share every layer (vLLM).")
    ] = None,
    gpus: Annotated[int | None, typer.Option(metavar="N", help="Use exactly so many cards.")] = None,
    n_gpu_layers: Annotated[
        int | None, typer.Option(metavar="N", help="llama.cpp: layers on the cards, the rest in RAM.")
    ] = None,
    n_cpu_moe: Annotated[
        int, typer.Option(metavar="N", help="llama.cpp: experts of the first N layers in RAM.")
    ] = 0,
    draft: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A draft model beside it (llama.cpp).")
    ] = None,
    mmproj: Annotated[
        str | None, typer.Option(metavar="FILE", help="The vision part beside it (llama.cpp).")
    ] = None,
    train: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Fine-tune instead: full, lora or qlora.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="With --train: adamw unless said, adamw_8bit, paged_adamw_8bit or sgd."
        ),
    ] = None,
    fused_backward: Annotated[
        bool,
        typer.Option(
            "--fused-backward", help="With --train full: the optimizer steps inside the backward pass."
        ),
    ] = False,
    loss_chunks: Annotated[
        int, typer.Option(metavar="N", help="With --train: parts that the loss is worked out in.")
    ] = 1,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Of images and video; 1024x1024 pixels unless said.")
    ] = None,
    frames: Annotated[int | None, typer.Option(metavar="N", help="Of video; 1 unless said.")] = None,
    rig: Annotated[
        str | None, typer.Option(metavar="FILE", help="A rig file; this machine's cards unless said.")
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:N],…", help="Cards by name instead of a rig file, as rtx-3090:2."),
    ] = None,
    use: Annotated[
        str | None, typer.Option(metavar="USE", help="Without MODEL: only for chat, code, vision, …")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Add measurements; estimates near one are corrected by it."),
    ] = None,
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every term, its formula and its source.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what a model takes and what it fits on. Exit code 3 when it fits on none of your cards.

    \b
    Examples:
      labctl fit llama-3.1-8b
      labctl fit qwen3-32b --gpu rtx-3090:2 --context 32k --kv-type q8_0
      labctl fit ./model-Q4_K_M.gguf --rig workloads/rigs/dual-3090.yaml --explain
      labctl fit llama-3.1-8b --engine vllm --quant awq --parallel 8 --json
      labctl fit llama-3.1-8b --train qlora --batch 2 --context 2k --gpu rtx-3090
      labctl fit --gpu rtx-3060 --use chat
    """
    with _without_looking_for_cycles():
        from labctl.cli.fit_answer import answer
        from labctl.cli.fit_options import Question

        question = Question(
            model=model,
            engine=engine,
            quants=comma_separated(quant),
            context=context,
            parallel=parallel,
            kv_type=kv_type,
            batch=batch,
            ubatch=ubatch,
            flash_attention=flash_attention,
            tensor_parallel=tensor_parallel,
            gpus=gpus,
            n_gpu_layers=n_gpu_layers,
            n_cpu_moe=n_cpu_moe,
            draft=draft,
            mmproj=mmproj,
            train=train,
            optimizer=optimizer,
            fused_backward=fused_backward,
            loss_chunks=loss_chunks,
            size=size,
            frames=frames,
            rig=rig,
            cards=None if gpu is None else comma_separated(gpu),
            use=use,
            measured=measured,
        )
        raise typer.Exit(answer(question, explain=explain, as_json=json))


@contextmanager
def _without_looking_for_cycles() -> Iterator[None]:
    """One answer leaves no garbage worth looking for, and the looking took a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
