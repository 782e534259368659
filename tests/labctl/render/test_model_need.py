"""Which model files a plan needs: the places that the units name, each once."""

from dataclasses import replace

from labctl.render.model_need import needed_models
from tests.labctl.render.cases import SERVICES, by_workload, case_plan, facts, rendered


def test_what_is_needed_is_what_the_units_load() -> None:
    plan = case_plan()
    needed = needed_models(plan, SERVICES, plan.workloads)
    made = rendered(plan)
    assert {each.place for each in needed if not each.is_projector} == set(made.model_files.values())
    texts = by_workload(made)
    for each in needed:
        for name in each.workloads:
            assert (f"/models/{each.place}" in texts[name]) == (not each.starts_without), each


def test_a_projector_is_needed_beside_what_sees() -> None:
    plan = case_plan()
    name = next(each for each, planned in plan.workloads.items() if planned.service == "llama.cpp")
    seeing = replace(plan.workloads[name], vision="mmproj", model="someone/sees")
    [projector, model] = needed_models(replace(plan, workloads={name: seeing}), SERVICES, [name])
    assert (model.place.rsplit("/", 1)[0], model.is_projector) == ("someone/sees", False)
    assert (projector.place, projector.is_projector) == ("someone/sees/mmproj.gguf", True)


def test_two_workloads_share_one_copy() -> None:
    plan = case_plan()
    name = next(each for each, planned in plan.workloads.items() if planned.service == "llama.cpp")
    both = {name: plan.workloads[name], "twin": plan.workloads[name]}
    needed = needed_models(replace(plan, workloads=both), SERVICES, both)
    assert needed[0].workloads == tuple(sorted(both))
    elsewhere = facts(model_files={"twin": "other.gguf"})
    assert len(needed_models(replace(plan, workloads=both), SERVICES, both, elsewhere)) > len(needed)
