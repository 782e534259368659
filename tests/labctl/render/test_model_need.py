"""Which model files a plan needs: the places that the units name, each once."""

from dataclasses import replace

from labctl.render.model_need import needed_models
from tests.labctl.plan.plans import plan, runs
from tests.labctl.render.cases import SERVICES, by_workload, case_plan, facts, rendered


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
