"""Why a unit starts anew, in a few words."""

import pytest

from labctl.apply.reasons import about, reasons

UNIT = """\
# Written by labctl for the workload chat, plan sha256:1.
[Container]
Image=registry.example/llama:b9851
ContainerName=labctl-chat
AddDevice=nvidia.com/gpu=GPU-1
Exec=-m /models/a.gguf -c 8192 --flash-attn -ts 1,1
Environment=A=1
Environment="B=canary 1"
Secret=chat-key,type=env,target=KEY
HealthCmd=curl -f x
[Service]
MemoryMax=4096M
CPUQuota=700%
"""
CASES = [
    ("plan sha256:1", "plan sha256:2", ["what the plan counts for it"]),
    (":b9851", ":b9900", ["image b9851 → b9900"]),
    ("registry.example/llama", "other/llama", ["image registry.example/llama:b9851 → other/llama:b9851"]),
    ("GPU-1", "GPU-2", ["cards GPU-1 → GPU-2"]),
    ("AddDevice=nvidia.com/gpu=GPU-1\n", "", ["cards GPU-1 → none"]),
    ("nvidia.com/gpu=GPU-1", "/dev/ttyUSB0", ["devices"]),
    ("-c 8192", "-c 16384", ["arguments -c 8192 → 16384"]),
    ("a.gguf -c 8192", "b.gguf -c 16384 --mlock", ["arguments -m, -c 8192 → 16384, --mlock"]),
    ("-ts 1,1", "-ts 1,2", ["arguments -ts 1,1 → 1,2"]),
    ("--flash-attn", "-a 1 -b 2 -d 3 -e 4", ["arguments --flash-attn, -a, -b …"]),
    ("canary 1", "canary 2", ["environment B"]),
    ("target=KEY", "target=OTHER", ["secrets"]),
    ("curl -f x", "curl -f y", ["health check"]),
    ("4096M", "512M", ["memory limit 4.0 GiB → 512 MiB"]),
    ("MemoryMax=4096M\n", "", ["memory limit 4.0 GiB → none"]),
    ("700%", "1500%", ["processor limit"]),
    ("[Service]\n", "[Service]\nTimeoutStopSec=1\n", ["settings"]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_a_change_is_told(old: str, new: str, expected: list[str]) -> None:
    assert old in UNIT
    assert list(reasons(UNIT, UNIT.replace(old, new))) == expected


def test_several_are_told_once_each_and_no_value_of_the_environment() -> None:
    after = UNIT.replace("canary 1", "canary 2").replace(":b9851", ":b9").replace("curl -f x", "curl y")
    found = list(reasons(UNIT, after))
    assert found == ["image b9851 → b9", "environment B", "health check"]
    assert "canary" not in "".join(found)


def test_what_a_new_one_is() -> None:
    assert list(about(UNIT)) == ["on GPU-1", "image registry.example/llama:b9851"]
    assert list(about("[Network]\nNetworkName=x\n")) == []
