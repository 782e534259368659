"""Which model files a plan needs: the places that the units name, each once."""

from dataclasses import replace

import pytest

from labctl.plan.plan import PlannedPort
from labctl.render.model_need import left_out, needed_models
from tests.labctl.plan.plans import plan, runs
from tests.labctl.render.cases import SERVICES, by_workload, case_plan, facts, lines, rendered, texts


def test_what_is_needed_is_what_the_units_load() -> None:
    case = case_plan()
    needed = needed_models(case, SERVICES, case.workloads)
    made = rendered(case)
    assert {each.place for each in needed if not each.is_projector} == set(made.model_files.values())
    texts = by_workload(made)
    for each in needed:
        for name in each.workloads:
            assert (f"/models/{each.place}" in texts[name]) == (not each.starts_without), each


def test_a_projector_is_needed_beside_what_sees() -> None:
    case = case_plan()
    name = next(each for each, planned in case.workloads.items() if planned.service == "llama.cpp")
    seeing = replace(case.workloads[name], vision="mmproj", model="someone/sees")
    [projector, model] = needed_models(replace(case, workloads={name: seeing}), SERVICES, [name])
    assert (model.place.rsplit("/", 1)[0], model.is_projector) == ("someone/sees", False)
    assert (projector.place, projector.is_projector) == ("someone/sees/mmproj.gguf", True)


def test_two_workloads_share_one_copy() -> None:
    case = case_plan()
    name = next(each for each, planned in case.workloads.items() if planned.service == "llama.cpp")
    both = {name: case.workloads[name], "twin": case.workloads[name]}
    needed = needed_models(replace(case, workloads=both), SERVICES, both)
    assert needed[0].workloads == tuple(sorted(both))
    elsewhere = facts(model_files={"twin": "other.gguf"})
    assert len(needed_models(replace(case, workloads=both), SERVICES, both, elsewhere)) > len(needed)


def test_a_model_as_it_was_published_lies_once_for_who_serves_and_who_trains_it() -> None:
    """The catalogue calls its format bfloat16, who pulls it bf16."""
    variant = {"engine": "vllm", "quant": "bfloat16"}
    there = {
        "serve": runs("vllm", model="qwen2.5-1.5b", variant=variant),
        "tune": runs("axolotl", model="qwen2.5-1.5b", variant={"engine": "training", "quant": "nf4"}),
    }
    [needed] = needed_models(plan(there), SERVICES, there)
    assert (needed.place, needed.workloads) == ("qwen2.5-1.5b/bf16", ("serve", "tune"))


def test_a_model_is_pulled_or_left_to_a_person() -> None:
    case = case_plan()
    needed = needed_models(case, SERVICES, case.workloads)
    pulled = {name for each in needed if not each.starts_without for name in each.workloads}
    left = {each.workload for each in left_out(case, SERVICES, case.workloads)}
    assert left
    assert pulled.isdisjoint(left)
    assert pulled | left == {name for name, planned in case.workloads.items() if planned.model}


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("whisper-small", "Systran/faster-whisper-small"),
        ("whisper-large-v3-turbo", "deepdml/faster-whisper-large-v3-turbo-ct2"),
        ("someone/model", "someone/model"),
    ],
)
def test_speech_is_asked_for_as_the_hub_calls_it(model: str, asked: str) -> None:
    listen = {"listen": runs("whisper", model=model, ports=(PlannedPort(8000, 20004),))}
    [left] = left_out(plan(listen), SERVICES, listen)
    assert left.do.endswith(f"http://127.0.0.1:20004/v1/models/{asked}")


def test_pictures_are_made_with_what_lies_in_the_folder_of_models() -> None:
    """Below the folders in which ComfyUI looks for it, each with the loaders that read it."""
    [made] = [
        text for path, text in texts(rendered(case_plan())).items() if path.endswith("-images.container")
    ]
    models = "/root/ComfyUI/models"
    wanted = {f"/srv/models:{models}/{kind}/shared:ro" for kind in ("checkpoints", "diffusers", "vae")}
    assert wanted <= {*lines(made, "Volume")}
    assert made.count("sh /srv/models") == 1
