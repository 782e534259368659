"""What `expose` says to services: as long as nothing opens it, they are used by the tunnel that apply recommends."""

from dataclasses import replace
from typing import Any

from labctl.plan.plan import PlannedPort
from tests.labctl.render.cases import case_plan, containers, lines, rendered


def environment(name: str, **to: Any) -> dict[str, str]:
    """Of a workload of the case, with these things otherwise."""
    case = case_plan()
    there = replace(case, workloads={**case.workloads, name: replace(case.workloads[name], **to)})
    text = containers(rendered(there))[f"units/labctl-{name}.container"]
    said = (each.strip('"').partition("=") for each in lines(text, "Environment"))
    return {variable: value for variable, _, value in said}


def test_the_chat_answers_a_page_that_came_by_a_tunnel() -> None:
    found = environment("ui", expose="chat.home.example", ports=(PlannedPort(8080, 20011),))
    assert found["CORS_ALLOW_ORIGIN"].split(";") == [
        "https://chat.home.example",
        "http://localhost:20011",
        "http://127.0.0.1:20011",
    ]
    assert "CORS_ALLOW_ORIGIN" not in environment("ui", expose="no")


def test_files_are_not_sent_to_a_name_that_nobody_serves() -> None:
    found = environment("files", expose="files.home.example")
    assert found["NEXTCLOUD_TRUSTED_DOMAINS"] == "files.home.example"
    assert not {"OVERWRITEHOST", "OVERWRITEPROTOCOL"} & found.keys()
