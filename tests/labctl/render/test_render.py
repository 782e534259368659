"""What rendering depends on, and on nothing else; and what it refuses."""

import re
from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import BadInput
from labctl.plan.plan import Plan, PlannedPort, PlannedWorkload
from labctl.render import unit_text
from labctl.render.render import Rendered, render
from labctl.transaction.decision import Change, FileSeen, compare
from tests.labctl.plan.plans import FIRST, SECOND, THIRD, claims, host, plan, runs
from tests.labctl.render.cases import (
    HOST,
    SERVICES,
    case_plan,
    containers,
    facts,
    lines,
    rendered,
    texts,
    workload_of,
)

NAMES = sorted(case_plan().workloads)
# They take what is free of a card, so they are told what others claim there.
COUNT_OTHERS = {"ollama", "comfyui"}


def change(new: Rendered, old: Rendered) -> Change:
    """As the host sees it, which has the old files."""
    there = {each.path: FileSeen(each.sha256, each.mode) for each in old.manifest.trees.values()}
    return compare(new.manifest, old.manifest, there)


def changed(name: str, **to: Any) -> Plan:
    """The case with one workload otherwise."""
    found = case_plan()
    return replace(found, workloads={**found.workloads, name: replace(found.workloads[name], **to)})


def test_the_same_question_has_the_same_bytes() -> None:
    first, second = rendered(case_plan()), rendered(case_plan())
    assert first == second
    assert first.manifest.text() == second.manifest.text()
    assert change(first, second).is_none


def test_the_order_of_what_is_asked_does_not_matter() -> None:
    there = case_plan()
    turned = replace(there, workloads={name: there.workloads[name] for name in reversed(NAMES)})
    services = dict(reversed(SERVICES.items()))
    assert render(turned, HOST, services, facts()) == rendered(there)


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_one_workload_changes_no_other(name: str) -> None:
    before = rendered(case_plan())
    after = rendered(changed(name, args=("--other",), env={"OTHER": "1"}))
    found = change(after, before)
    assert [each.unit for each in found.changed] == [f"labctl-{name}.service"]
    assert (found.added, found.removed) == ((), ())
    assert [workload_of(texts(after)[each.path]) for each in found.write if each.path != "plan.json"] == [
        name
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_left_the_plan_takes_its_files_along_and_leaves_the_others_running(name: str) -> None:
    there = case_plan()
    left = {other: each for other, each in there.workloads.items() if other != name}
    found = change(rendered(replace(there, workloads=left)), rendered(there))
    assert {each.name.partition("-")[0] for each in found.removed} == {name.partition("-")[0]}
    cards = set(there.workloads[name].card_ids)
    touched = {
        other
        for other, each in left.items()
        if name in each.uses
        or (each.service in COUNT_OTHERS and cards.intersection(each.card_ids) and name != "tune")
    }
    assert {each.name for each in found.changed} == touched
    assert found.added == ()


def test_a_better_estimate_alone_changes_nothing() -> None:
    chat = case_plan().workloads["chat"]
    cards = tuple(replace(each, low_mib=1, expected_mib=2, parts_mib={"weights": 3}) for each in chat.cards)
    to = changed("chat", cards=cards, tokens_per_second=1.5, rank=7, disk_mib=9)
    assert not change(rendered(to), rendered(case_plan())).changed


def test_two_hosts_have_their_own_alone() -> None:
    there = case_plan()
    moved = changed("plain", host="other")
    hosts = (*there.rig.hosts, replace(there.rig.hosts[0], name="other", cards=()))
    moved = replace(moved, rig=replace(moved.rig, hosts=hosts))
    assert set(containers(rendered(moved, host="other"))) == {"units/labctl-plain.container"}
    assert "units/labctl-plain.container" not in rendered(moved).files


def one(workload: PlannedWorkload, name: str = "w", **more: PlannedWorkload) -> dict[str, str]:
    return texts(rendered(plan({name: workload, **more})))


def container(workload: PlannedWorkload) -> str:
    return one(workload)["units/labctl-w.container"]


LLAMA: dict[str, Any] = {
    "engine": "llama.cpp",
    "quant": "Q8_0",
    "parallel": 2,
    "context": 4096,
    "kv_type": "f16",
}


def test_llama_cpp_is_told_where_every_layer_and_every_token_goes() -> None:
    text = container(
        runs(
            model="qwen3-8b",
            cards=claims(first=9000, second=8000),
            variant=LLAMA | {"tensor_split": [0.25, 3.0]},
        )
    )
    (said,) = lines(text, "Exec")
    assert said.endswith(
        "--alias w -m /models/qwen3-8b/qwen3-8b-Q8_0.gguf -ngl 999 -sm layer -ts 0.25,3 -c 8192 -np 2 -no-kvu "
        "-ctk f16 -ctv f16 -fa on -b 2048 -ub 512 --fit off -cram 0"
    )


def test_llama_cpp_on_the_processor_asks_for_no_card() -> None:
    text = container(runs(model="x.gguf", variant=LLAMA | {"n_gpu_layers": 0, "prompt_cache_mib": 512}))
    (said,) = lines(text, "Exec")
    assert "-m /models/x.gguf -ngl 0 -c 8192" in said
    assert said.endswith("-cram 512")
    assert "-sm" not in said
    assert "CUDA_DEVICE_ORDER" not in text


def test_what_is_moved_to_ram_and_what_lets_it_see_are_said() -> None:
    variant = LLAMA | {"n_cpu_moe": 12}
    (said,) = lines(
        container(runs(model="org/name", vision="mmproj", cards=claims(first=9), variant=variant)), "Exec"
    )
    assert "-m /models/org/name/name-Q8_0.gguf --mmproj /models/org/name/mmproj.gguf" in said
    assert "-sm none -mg 0 -ncmoe 12" in said


@pytest.mark.parametrize("quant", ["fp16", "float16"])
def test_vllm_gets_its_share_of_the_card_and_its_cache_in_bytes(quant: str) -> None:
    cards = tuple(replace(each, kv_cache_bytes=1024**3) for each in claims(first=12000, second=12000))
    variant = {
        "engine": "vllm",
        "quant": quant,
        "parallel": 8,
        "context": 4096,
        "kv_type": "fp8",
        "tensor_parallel": 2,
    }
    (said,) = lines(container(runs("vllm", model="org/name", cards=cards, variant=variant)), "Exec")
    # It ends at --served-model-name where its model does not come before all flags.
    assert said.startswith("/models/org/name/fp16 --host ")
    assert said.endswith(
        "--served-model-name w --dtype=float16 --kv-cache-dtype=fp8 --max-model-len=4096 --max-num-seqs=8 "
        "--max-num-batched-tokens=2048 --tensor-parallel-size=2 --kv-cache-memory-bytes=1073741824 "
        "--gpu-memory-utilization=0.498"
    )


@pytest.mark.parametrize(
    ("quant", "dtype"),
    [
        *(("bfloat16", "bfloat16"), ("bf16", "bfloat16"), ("float16", "float16"), ("FP16", "float16")),
        *(("fp32", "float32"), ("awq", None), ("mxfp4-safetensors", None)),
    ],
)
def test_vllm_computes_in_what_the_plan_says_by_any_of_its_names(quant: str, dtype: str | None) -> None:
    variant = {"engine": "vllm", "quant": quant, "parallel": 1, "context": 4096}
    (said,) = lines(container(runs("vllm", model="m", cards=claims(first=9), variant=variant)), "Exec")
    assert [word for word in said.split() if word.startswith("--dtype")] == (
        [f"--dtype={dtype}"] if dtype else []
    )


def test_engines_that_fill_a_card_are_told_what_nobody_claims_of_it() -> None:
    there = {
        "a": runs("ollama", cards=claims(first=8000)),
        "b": runs("comfyui", cards=claims(first=6000)),
        "job": runs("axolotl", model="x", cards=claims(first=20000), displaces=("a",), when="01:00-02:00"),
    }
    found = texts(rendered(plan(there)))
    left_mib = 24123 - 14000
    assert f"OLLAMA_GPU_OVERHEAD={left_mib * 1024 * 1024}" in found["units/labctl-a.container"]
    assert f"--reserve-vram {left_mib / 1024:.2f}" in found["units/labctl-b.container"]


def test_an_engine_with_a_card_of_its_own_may_hold_several_models() -> None:
    text = container(runs("ollama", cards=claims(first=23000), elastic=True))
    assert "OLLAMA_MAX_LOADED_MODELS" not in text


def test_what_fills_a_card_does_not_wait_for_what_a_desktop_holds_of_it() -> None:
    whole = 23099
    there = {
        "chat": runs("ollama", cards=claims(first=whole), elastic=True),
        "pics": runs("comfyui", cards=claims(second=whole), elastic=True),
        "capped": runs("ollama", cards=claims(third=5000)),
    }
    made = rendered(plan(there, host(FIRST, SECOND, THIRD)))
    waits = {each.name: each.gpus for each in made.manifest.units if each.gpus}
    assert waits == {"chat": {FIRST: 1280}, "pics": {SECOND: 2048}, "capped": {THIRD: 5000}}
    # They are still told to leave alone what the plan reserves, and no more.
    left = lines(texts(made)["units/labctl-chat.container"], "Environment")
    assert f"OLLAMA_GPU_OVERHEAD={(24123 - whole) * 1024 * 1024}" in left


def test_cards_are_locked_in_one_order_and_let_go_of_whatever_comes() -> None:
    made = rendered(plan({"w": runs(model="m", cards=claims(second=9, first=9), variant=LLAMA)}))
    lock = texts(made)["systemd/labctl-w_start.service"]
    (command,) = lines(lock, "ExecStart")
    assert command.index(f"{FIRST}.lock") < command.index("bbbb")
    assert "StopWhenUnneeded=yes" in lock
    text = texts(made)["units/labctl-w.container"]
    stop = "/usr/bin/systemctl stop --no-block labctl-w_start.service"
    assert (lines(text, "ExecStartPost"), lines(text, "ExecStopPost")) == ([stop], [stop])
    assert "Wants=labctl-w_start.service\nAfter=labctl-w_start.service" in text
    unit = next(each for each in made.manifest.units if each.unit == "labctl-w_start.service")
    assert not unit.start
    assert next(each for each in made.manifest.files if each.path.startswith("systemd/")).mode == "644"


def test_the_host_starts_those_on_one_card_one_after_another() -> None:
    there = {
        "a": runs("ollama", cards=claims(first=8000)),
        "b": runs("ollama", cards=claims(second=8000)),
        "c": runs("ollama", cards=claims(first=1, second=2)),
    }
    units = {each.unit: each for each in rendered(plan(there)).manifest.units}
    after = {
        name: [each for each in units[f"labctl-{name}.service"].after if "-" not in each[7:]]
        for name in "abc"
    }
    assert after == {"a": [], "b": [], "c": ["labctl-a.service", "labctl-b.service"]}


def test_what_a_workload_uses_on_another_host_is_refused_by_name() -> None:
    there = {"chat": runs(host="zbox"), "ui": runs("open-webui", host=HOST, uses=("chat",))}
    with pytest.raises(BadInput, match="another host") as refusal:
        rendered(plan(there, host(FIRST, name=HOST), host(SECOND, name="zbox")))
    assert (refusal.value.where, refusal.value.found) == ("ui.uses", "chat on zbox")
    assert "gpus: {host: zbox}" in str(refusal.value.hint)


def test_a_database_is_out_of_reach_of_whoever_uses_its_service() -> None:
    there = {"files": runs("nextcloud"), "w": runs("container", image="x:1", uses=("files",))}
    found = texts(rendered(plan(there)))
    assert lines(found["units/labctl-w.container"], "Network") == [
        "labctl-w.network",
        "labctl-files_uses.network",
    ]
    assert lines(found["units/labctl-files-db.container"], "Network") == ["labctl-files.network"]
    assert lines(found["units/labctl-files-cron.container"], "Entrypoint") == ["/cron.sh"]


def test_what_keeps_state_is_never_cut_off_at_its_start_and_lets_others_load_all_the_same() -> None:
    cards = claims(first=9)
    made = rendered(
        plan(
            {
                "files": runs("nextcloud"),
                "pics": runs("comfyui", cards=cards),
                "w": runs("ollama", cards=cards),
            }
        )
    )
    limits = {path: lines(text, "TimeoutStartSec") for path, text in containers(made).items()}
    assert limits == {
        "units/labctl-files.container": ["infinity"],
        "units/labctl-files-db.container": ["infinity"],
        "units/labctl-files-cache.container": ["60"],
        "units/labctl-files-cron.container": ["infinity"],
        "units/labctl-pics.container": ["infinity"],
        "units/labctl-w.container": ["180"],
    }
    waits = {
        each.unit: each.start_timeout_seconds
        for each in made.manifest.units
        if each.unit.endswith("db.service")
    }
    assert waits == {"labctl-files-db.service": 300}
    locks = {path: text for path, text in texts(made).items() if "_start" in path}
    assert "exec sleep infinity'" in locks["systemd/labctl-w_start.service"]
    assert re.search(r"exec sleep \d+'", locks["systemd/labctl-pics_start.service"])


def test_an_image_goes_by_the_oldest_of_the_cards() -> None:
    there = plan({"w": runs("comfyui", cards=claims(first=9, second=9))})
    old = rendered(there, facts(capabilities={FIRST: (6, 1), SECOND: (8, 6)}))
    assert lines(texts(old)["units/labctl-w.container"], "Image") == [
        "docker.io/yanwk/comfyui-boot:cu126-slim"
    ]


def test_a_folder_of_the_person_s_holds_what_is_theirs_and_not_what_can_be_had_again() -> None:
    found = lines(container(runs("comfyui", cards=claims(first=9), data="/srv/x")), "Volume")
    assert "/srv/x/output:/root/ComfyUI/output" in found
    assert "labctl-w-models.volume:/root/ComfyUI/models" in found


def test_a_command_keeps_its_single_quotes_without_double_ones() -> None:
    assert unit_text.shell(["x", "a 'b' $c"]) == "x 'a '\\''b'\\'' $$c'"


def test_the_person_s_own_words_come_last_and_mean_themselves() -> None:
    written = runs(
        "container",
        image="x:1",
        args=("$HOME 50%", "it's", 'a"b\\', "line\nline", "[Service]"),
        env={"A": "two words"},
        ports=(PlannedPort(53, 5353, "udp"),),
        devices=("/dev/net/tun",),
        volumes={"data": "/data"},
        data="/srv/x",
    )
    text = container(written)
    assert lines(text, "Exec") == ['"$$HOME 50%%" "it\'s" "a\\"b\\\\" "line\\nline" "[Service]"']
    assert 'Environment="A=two words"' in text
    assert lines(text, "PublishPort") == ["127.0.0.1:5353:53/udp"]
    assert lines(text, "Volume") == ["/srv/x/data:/data"]
    assert lines(text, "AddDevice") == ["/dev/net/tun"]
    assert lines(text, "ExecStartPre")[0].endswith("sh /srv/x/data 755 0 0")


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"w": runs("container")}, r"w\.image: nothing says which image to run"),
        (
            {"w": runs("container", image="x:1\nExec=y")},
            r"Image: this cannot stand in a unit .*expected one line",
        ),
        ({"w": runs("container", image="x:1\\")}, "Image: this cannot stand in a unit"),
        ({"w": runs("gone")}, r"w\.service: the catalogue has no such service \(found gone\)"),
        (
            {"w": runs("container", image="x:1", args=("--key", "*MASKED*"), secrets=("args[1]",))},
            r"w\.args\[1\]: a secret",
        ),
        (
            {"files": runs("nextcloud"), "files-db": runs("container", image="x:1")},
            "files, files-db: two workloads would share .*found units/labctl-files-db",
        ),
        (
            {
                "a": runs("container", image="x:1", volumes={"b-c": "/x"}),
                "a-b": runs("container", image="x:1", volumes={"c": "/x"}),
            },
            "a, a-b: two workloads would share",
        ),
        (
            {"a": runs("container", image="x:1"), "a-network": runs("container", image="x:1")},
            r"a, a-network: two workloads would share .*labctl-a-network\.service",
        ),
    ],
)
def test_what_cannot_be_rendered_is_refused(there: dict[str, PlannedWorkload], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        rendered(plan(there))
