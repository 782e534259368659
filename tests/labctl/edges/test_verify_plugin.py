"""Verdicts: what a check must do to pass, to fail, and to be left out."""

from pathlib import Path
from textwrap import dedent

import pytest

from labctl.edges.events import HostPlanned
from tests.labctl.edges.verifying_here import Outcome, verify_here

_HEAD = "import pytest\nfrom labctl.edges.checks import not_run_here, output_of\n"


def checks(folder: Path, source: str, role: str = "mine") -> Path:
    path = folder / "roles" / role / "checks.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    for package in (path.parent, path.parent.parent):
        (package / "__init__.py").touch()
    path.write_text(_HEAD + dedent(source))
    return path


SOURCES = {
    "a_check_passes_by_ending": '''
        def test_output(host):
            """output of the host
            More about it."""
            assert output_of(host, "echo %s", "a b") == "a b"

        def test_without_a_docstring(host): pass

        @pytest.mark.parametrize("port", [22, 80])
        def test_port(port):
            """port."""

        def test_facts_and_settings(facts, settings):
            """facts and settings"""
            assert facts.os_id == "debian"
            assert settings == {"role": "mine"}

        def test_root_of_testinfra(host):
            """testinfra's own modules"""
            assert host.file("/proc/1").is_directory
            assert not host.file("/nowhere").exists
    ''',
    "a_check_fails_by_whatever_it_raises": '''
        def test_message():
            """message"""
            limit = 2
            assert limit == 1, "the limit is 2, not 1"

        def test_no_message():
            """no message"""
            assert [1, 2] == [1]

        def test_command(host):
            """command"""
            output_of(host, "echo nothing; echo 'not there' >&2; exit 4")

        def test_error():
            """error"""
            {}["key"]

        @pytest.fixture
        def broken():
            raise ValueError("no such thing")

        def test_setup(broken):
            """set-up"""

        @pytest.fixture
        def sticky():
            yield
            raise ValueError("cannot be undone")

        def test_teardown(sticky):
            """tear-down"""

        def test_both(sticky):
            """both"""
            assert False, "first"
    ''',
    "the_one_way_to_leave_a_check_out": '''
        def test_here(facts):
            """says so"""
            not_run_here("a container: the clock is the machine's")

        @pytest.fixture
        def managed():
            not_run_here("not managed")

        def test_fixture(managed):
            """its fixture says so"""
            assert False

        def test_skip():
            """skip"""
            pytest.skip("not today")

        @pytest.mark.skip(reason="not today")
        def test_marked():
            """marked skip"""

        @pytest.mark.skipif(True, reason="not today")
        def test_marked_if():
            """marked skipif"""

        @pytest.mark.xfail
        def test_xfail():
            """marked xfail"""
            assert False, "as expected"

        def test_xfail_call():
            """xfail"""
            pytest.xfail("as expected")

        def test_importorskip():
            """importorskip"""
            pytest.importorskip("nothing_of_this_name")
    ''',
    "one_check_for_each_of_what_is_there": '''
        from labctl.edges.checks import for_each
        from labctl.edges.verify_plugin import host_of

        def pytest_generate_tests(metafunc):
            found = output_of(host_of(metafunc.config), "echo chat ui").split()
            if "thing" in metafunc.fixturenames:
                for_each(metafunc, "thing", {name: name for name in found})
            if "nobody" in metafunc.fixturenames:
                for_each(metafunc, "nobody", {})

        def test_thing(thing):
            """it runs"""
            assert thing == "chat", f"{thing} does not"

        def test_nobody(nobody):
            """never run"""
            assert False
    ''',
    "a_hung_command_fails_its_check_alone": '''
        def test_hangs(host):
            """hangs"""
            host.backend._shell.run("sleep 60", timeout_s=0.2)

        def test_next(host):
            """next"""
            assert output_of(host, "echo on") == "on"
    ''',
    "a_lost_connection_is_no_failed_check": '''
        def test_before(host):
            """before"""

        def test_lost(host):
            """lost"""
            host.run("kill -9 $PPID")

        def test_after(host):
            """after"""
    ''',
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folders = {name: tmp_path_factory.mktemp(name) for name in SOURCES}
    for name, source in SOURCES.items():
        checks(folders[name], source)
    return dict(zip(SOURCES, verify_here(*folders.values()), strict=True))


def test_a_check_passes_by_ending(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["a_check_passes_by_ending"]
    assert seen.statuses == {
        "output of the host": "passed",
        "without a docstring": "passed",
        "port [22]": "passed",
        "port [80]": "passed",
        "facts and settings": "passed",
        "testinfra's own modules": "passed",
    }
    assert seen.events[0] == HostPlanned("here", ("mine",), 6)
    assert seen.problem is None


def test_a_check_fails_by_whatever_it_raises(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["a_check_fails_by_whatever_it_raises"]
    found = {name: (event.status, event.reason) for name, event in seen.verified().items()}
    assert found == {
        "message": ("failed", "the limit is 2, not 1"),
        "no message": ("failed", "assert [1, 2] == [1]"),
        "command": (
            "failed",
            "`echo nothing; echo 'not there' >&2; exit 4` failed with exit status 4: not there",
        ),
        "error": ("failed", "KeyError: 'key'"),
        "set-up": ("failed", "ValueError: no such thing"),
        "tear-down": ("failed", "ValueError: cannot be undone"),
        "both": ("failed", "first"),
    }
    assert seen.verified()["message"].output == ("roles/mine/checks.py:7",)
    assert seen.problem is None


def test_one_check_for_each_of_what_is_there(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["one_check_for_each_of_what_is_there"]
    assert seen.statuses == {"it runs [chat]": "passed", "it runs [ui]": "failed"}
    assert seen.events[0] == HostPlanned("here", ("mine",), 2)
    assert seen.problem is None


def test_a_role_with_nothing_to_check_on_this_host_is_no_mistake(tmp_path: Path) -> None:
    source = """
        from labctl.edges.checks import for_each

        def pytest_generate_tests(metafunc):
            for_each(metafunc, "nobody", {})

        def test_nobody(nobody):
            assert False
    """
    checks(tmp_path, source)
    (seen,) = verify_here(tmp_path)
    assert (seen.statuses, seen.problem) == ({}, None)


def test_the_one_way_to_leave_a_check_out(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["the_one_way_to_leave_a_check_out"]
    assert seen.statuses == {
        "says so": "not run here",
        "its fixture says so": "not run here",
        "skip": "failed",
        "marked skip": "failed",
        "marked skipif": "failed",
        "marked xfail": "failed",
        "xfail": "failed",
        "importorskip": "failed",
    }
    assert seen.verified()["says so"].reason == "a container: the clock is the machine's"
    assert "not_run_here(reason)" in (seen.verified()["skip"].reason or "")


def test_a_hung_command_fails_its_check_alone(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["a_hung_command_fails_its_check_alone"]
    assert seen.statuses == {"hangs": "failed", "next": "passed"}
    assert "no answer within 0.2 s" in (seen.verified()["hangs"].reason or "")


def test_a_lost_connection_is_no_failed_check(outcomes: dict[str, Outcome]) -> None:
    seen = outcomes["a_lost_connection_is_no_failed_check"]
    assert seen.statuses == {"before": "passed"}
    assert seen.problem is not None
    assert "the connection broke" in seen.problem


def test_checks_that_do_not_run_are_no_success(tmp_path: Path) -> None:
    problems = {
        "def broken(:\n": "the checks cannot be read",
        "import nothing_of_this_name\n": "No module named 'nothing_of_this_name'",
        "pytest.skip('all of it', allow_module_level=True)\n": "the checks cannot be read",
        "x = pytest.importorskip('nothing_of_this_name')\n": "the checks cannot be read",
        "def check_nothing(host): pass\n": "the role mine has no checks",
    }
    folders = [tmp_path / str(number) for number in range(len(problems))]
    for folder, source in zip(folders, problems, strict=True):
        checks(folder, "def test_fine(): pass", role="another")
        checks(folder, source)
    for seen, problem in zip(verify_here(*folders), problems.values(), strict=True):
        assert seen.problem is not None
        assert problem in seen.problem
        assert "\n" not in seen.problem
        assert seen.verified() == seen.verified("another") == {}


def test_each_role_has_its_settings_and_its_turn(tmp_path: Path) -> None:
    for role in ("zebra", "ape"):
        checks(
            tmp_path,
            f"""
            def test_first(settings): assert settings == {{"role": "{role}"}}
            def test_second(): pass
            """,
            role,
        )
    (seen,) = verify_here(tmp_path)
    assert seen.events[0] == HostPlanned("here", ("ape", "zebra"), 4)
    verdicts = {event.status for role in ("ape", "zebra") for event in seen.verified(role).values()}
    assert verdicts == {"passed"}
    assert [
        (event.role, event.name) for role in ("ape", "zebra") for event in seen.verified(role).values()
    ] == [
        ("ape", "first"),
        ("ape", "second"),
        ("zebra", "first"),
        ("zebra", "second"),
    ]
    assert seen.statuses == {}


def test_nobodys_pytest_configuration_counts(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit(9)\n")
    checks(tmp_path, "def test_fine(): pass")
    (seen,) = verify_here(tmp_path, PYTEST_ADDOPTS="-k nothing", PYTEST_PLUGINS="nothing_of_this_name")
    assert seen.statuses == {"fine": "passed"}
