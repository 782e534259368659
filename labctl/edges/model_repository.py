"""Which files of a directory or of a hub repository make the model, and the model that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from labctl.edges.model_sources import ReadModel, Repository, content_of, read_each
from labctl.errors import BadInput
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.gguf_names import GgufFile, check_complete, choose, gguf_files, projector_order
from labctl.models.json_object import MAX_CONFIG_BYTES, parse_object
from labctl.models.model import Model


def read_repository(repository: Repository, quant: str | None = None, file: str | None = None) -> ReadModel:
    """The model in a repository: the GGUF `file`, or the GGUF of this quantization, or what the directory holds.

    Raises `BadInput` where there is none, or where it is not clear which.
    """
    sizes = repository.sizes
    ggufs = tuple(each for each in gguf_files(sizes) if not each.projector)
    if file is not None:
        if file not in sizes:
            raise _no_such_file(repository, file, ggufs)
        # Ollama's blobs are GGUF files without the suffix.
        whole = GgufFile(file, "", (file,), projector=False)
        asked = next((each for each in gguf_files(sizes) if file in each.parts), whole)
        return _read_gguf(repository, asked, ())
    if quant is not None:
        found = choose(ggufs, quant, sizes)
        if found is None:
            raise _no_such_quant(repository, quant, ggufs)
        return _read_gguf(repository, found, ggufs)
    other = _read_other(repository, ggufs)
    if other is not None:
        return other
    if not ggufs:
        raise _nothing_here(repository)
    if len(ggufs) > 1 and not repository.remote:
        raise BadInput(
            "this directory holds several models",
            where=repository.name,
            found=_listed(ggufs, sizes),
            expected="one",
            hint=f"name the file, or {repository.name}:{ggufs[0].label}",
        )
    usual = choose(ggufs, None, sizes)
    assert usual is not None
    return replace(_read_gguf(repository, usual, ggufs), chosen=len(ggufs) > 1)


def _read_other(repository: Repository, ggufs: Sequence[GgufFile]) -> ReadModel | None:
    """What is no GGUF. Its readers are imported here: most models are GGUF files, and need none of them."""
    sizes = repository.sizes
    if not sizes.keys() & {"model_index.json", "config.json"}:
        return None
    from labctl.edges.model_weights import has_weights, read_config, read_pipeline

    if "model_index.json" in sizes:
        return read_pipeline(repository)
    if ggufs and not has_weights(sizes):
        return None
    return replace(read_config(repository), choices=_choices(ggufs, sizes))


def _read_gguf(repository: Repository, file: GgufFile, others: Sequence[GgufFile]) -> ReadModel:
    model = _gguf_model(repository, file)
    return ReadModel(
        model,
        f"{repository.name}/{file.parts[0]}",
        () if file.projector else _projector(repository, file, model),
        _choices(others, repository.sizes),
    )


def _gguf_model(repository: Repository, file: GgufFile) -> Model:
    check_complete(file, repository.sizes, repository.name)
    return model_from_gguf(read_each(repository, file.parts, read_gguf_header))


def _projector(repository: Repository, file: GgufFile, model: Model) -> tuple[Model, ...]:
    """The projector in the same folder that fits the model's width; of several the usual one."""
    folder = file.parts[0].rpartition("/")[0]
    candidates = [
        each
        for each in gguf_files(repository.sizes)
        if each.projector and each.parts[0].rpartition("/")[0] in (folder, "")
    ]
    for each in sorted(candidates, key=projector_order):
        try:
            projector = _gguf_model(repository, each)
        except BadInput:  # no engine can load it either
            continue
        width = projector.metadata.get("clip.vision.projection_dim", model.n_embd)
        if projector.kind == "mmproj" and width == model.n_embd:
            return (projector,)
    return ()


def _choices(files: Sequence[GgufFile], sizes: Mapping[str, int]) -> dict[str, int]:
    return {each.label: each.n_bytes(sizes) for each in files}


def _listed(files: Sequence[GgufFile], sizes: Mapping[str, int]) -> str:
    names = [f"{each.parts[0]} ({each.n_bytes(sizes) / 1e9:.1f} GB)" for each in files]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _no_such_file(repository: Repository, file: str, ggufs: Sequence[GgufFile]) -> BadInput:
    return BadInput(
        "there is no such GGUF file",
        where=repository.name,
        found=file,
        expected=_listed(ggufs, repository.sizes) or "a .gguf file, of which it has none",
        hint="name one of these",
    )


def _no_such_quant(repository: Repository, quant: str, ggufs: Sequence[GgufFile]) -> BadInput:
    labels = [each.label for each in ggufs]
    return BadInput(
        "there is no GGUF of this quantization",
        where=repository.name,
        found=quant,
        expected=", ".join(labels[:40]) if labels else "none: it has no .gguf files",
        hint="name one of these" if labels else "name it without `:…`",
    )


def _nothing_here(repository: Repository) -> BadInput:
    sizes = repository.sizes
    if "adapter_config.json" in sizes:
        config = parse_object(
            "adapter_config.json", content_of(repository, "adapter_config.json", MAX_CONFIG_BYTES)
        )
        base = str(config.get("base_model_name_or_path") or "the model that it was trained on")[:200]
        return BadInput(
            "this is an adapter (LoRA), not a model",
            where=repository.name,
            found="adapter_config.json",
            expected="config.json or a .gguf file",
            hint=f"name its base model: {base}",
        )
    seen = sorted(sizes)
    return BadInput(
        "there is no model here",
        where=repository.name,
        found=", ".join(seen[:5]) + (" …" if len(seen) > 5 else "") if seen else "no files",
        expected="a .gguf file, config.json or model_index.json",
        hint="name the directory or repository that holds one of these",
    )
