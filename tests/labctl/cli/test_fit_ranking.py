"""`labctl fit` without a model."""

from labctl.edges import catalog
from tests.labctl.cli.fit_command import Command


def test_every_listed_model_fits_when_it_is_asked_for(fit: Command) -> None:
    models = fit("--gpu", "rtx-3060", "--use", "code", "--json").document["models"]
    assert len(models) > 4
    for each in models:
        answer = fit(each["model"], "--quant", each["quant"], "--gpu", "rtx-3060", "--json")
        assert answer.code == 0, each["model"]
        (same,) = answer.document["fits"]
        assert (same["max_context"], same["needs_mib"]) == (each["max_context"], each["needs_mib"])
        longest = fit(
            each["model"],
            "--quant",
            each["quant"],
            "--gpu",
            "rtx-3060",
            "--context",
            str(each["max_context"]),
        )
        assert longest.code == 0, each["model"]


def test_biggest_first_and_each_once(fit: Command) -> None:
    models = fit("--gpu", "rtx-3060", "--json").document["models"]
    sizes = [each["parameters"] for each in models]
    assert sizes == sorted(sizes, reverse=True)
    assert len({each["model"] for each in models}) == len(models)
    assert all(each["fits"] and each["uses"] for each in models)
    assert {each["model"] for each in models} <= set(catalog.model_names())


def test_more_memory_lists_more(fit: Command) -> None:
    small, large = (
        {each["model"] for each in fit("--gpu", gpu, "--use", "code", "--json").document["models"]}
        for gpu in ("rtx-3060", "rtx-3090")
    )
    assert small < large


def test_only_one_use(fit: Command) -> None:
    models = fit("--gpu", "rtx-3060", "--use", "vision", "--json").document["models"]
    assert models
    assert all("vision" in each["uses"] for each in models)
    text = fit("--gpu", "rtx-3060", "--use", "vision").out
    assert all(f"  {each['model']} " in text for each in models if each["newer"] is None)


def test_nothing_fits_is_no(fit: Command) -> None:
    answer = fit("--gpu", "quadro-k620", "--context", "32k", "--use", "code")
    assert answer.code == 3
    assert answer.out.endswith("\nNothing of the catalogue fits.\n")
    assert fit("--gpu", "quadro-k620", "--context", "32k", "--use", "code", "--json").document["models"] == []


def test_another_engine(fit: Command) -> None:
    models = fit("--gpu", "rtx-3060", "--engine", "vllm", "--use", "code", "--json").document["models"]
    assert {each["quant"] for each in models} <= {"bf16", "fp8", "awq", "mxfp4-safetensors"}
