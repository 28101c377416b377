"""One start: ports, embedded or own servers, and what the children are told."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from opentalking.cli import plan as plans
from opentalking.cli.ports import PortBusy
from opentalking.config import load_settings


def plan_for(tmp_path, **settings):
    environ = {"PATH": os.environ["PATH"], "OPENTALKING_API_PORT": "0", "OPENTALKING_RUN_DIR": str(tmp_path / "run")}
    environ |= {"OPENTALKING_ENV_FILE": str(tmp_path / "none.env")} | settings
    return plans.make_plan(load_settings(environ), environ)


def test_without_settings_redis_and_the_language_model_are_embedded(tmp_path):
    plan = plan_for(tmp_path)
    assert plan.processes == ("redis", "llm", "api", "speech-0", "inference-0", "rtc-0")
    assert plan.environ["OPENTALKING_LLM_EMBEDDED"] == "1"
    assert plan.environ["OPENTALKING_LLM_BASE_URL"] == f"http://127.0.0.1:{plan.settings.llm_port}/v1"
    assert plan.environ["OPENTALKING_REDIS_URL"] == f"redis://127.0.0.1:{plan.settings.redis_port}/0"
    assert plan.settings.redis_port >= 6379


def test_own_servers_are_used_and_nothing_is_embedded(tmp_path):
    plan = plan_for(
        tmp_path,
        OPENTALKING_REDIS_URL="redis://db:6379/3",
        OPENTALKING_LLM_BASE_URL="http://llm:11434/v1",
        OPENTALKING_LLM_EMBEDDED="1",  # left over from another shell
    )
    assert plan.processes[0] == "api"
    assert plan.environ["OPENTALKING_REDIS_URL"] == "redis://db:6379/3"
    assert plan.environ["OPENTALKING_LLM_BASE_URL"] == "http://llm:11434/v1"
    assert "OPENTALKING_LLM_EMBEDDED" not in plan.environ


def test_the_children_read_the_same_settings_as_the_plan_has(tmp_path):
    plan = plan_for(tmp_path, OPENTALKING_SPEECH_WORKERS="2")
    assert load_settings(plan.environ) == plan.settings


def test_a_busy_api_port_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortBusy, match=f"OPENTALKING_API_PORT={port}"):
            plan_for(tmp_path, OPENTALKING_API_PORT=str(port))


def test_nodes_of_two_run_directories_differ_and_a_given_name_stays(tmp_path):
    one = plan_for(tmp_path, OPENTALKING_RUN_DIR=str(tmp_path / "one")).settings.node
    two = plan_for(tmp_path, OPENTALKING_RUN_DIR=str(tmp_path / "two")).settings.node
    assert one != two
    assert plan_for(tmp_path, OPENTALKING_RUN_DIR=str(tmp_path / "one")).settings.node == one
    assert plan_for(tmp_path, OPENTALKING_NODE="studio").settings.node == "studio"


def test_the_socket_moves_to_a_short_folder_when_the_run_directory_is_deep(tmp_path):
    assert plans.socket_path(Path("/srv/run")) == Path("/srv/run/supervisor.sock")
    deep = tmp_path / ("deep/" * 30)
    path = plans.socket_path(deep)
    assert len(os.fsencode(path)) <= 90
    assert path != plans.socket_path(deep / "er")


@pytest.mark.parametrize("workers", [1, 3])
def test_supervisord_reads_the_configuration_with_the_plans_environment(tmp_path, workers):
    plan = plan_for(tmp_path, OPENTALKING_RTC_WORKERS=str(workers), OPENTALKING_LLM_BASE_URL="http://llm/v1")
    plan.logs.mkdir(parents=True)
    options = ServerOptions()
    options.environ_expansions = {f"ENV_{name}": value for name, value in plan.environ.items()}
    options.realize(["-n", "-c", str(plans.supervisor_conf())])
    programs = {process.name: process for group in options.process_group_configs for process in group.process_configs}
    assert set(programs) == set(plan.processes) | {"llm"}
    assert programs["redis"].autostart and not programs["llm"].autostart
    assert programs[f"rtc-{workers - 1}"].environment["OPENTALKING_WORKER_NUMBER"] == str(workers - 1)
    assert programs["rtc-0"].environment["OMP_NUM_THREADS"] == "1"
    assert programs["api"].command == f'"{sys.executable}" -m api'


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 1), (7, 1), (8, 2), (32, 8)])
def test_one_rtc_process_runs_for_every_four_cores_unless_told_otherwise(tmp_path, monkeypatch, cores, processes):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    plan = plan_for(tmp_path)
    assert [name for name in plan.processes if name.startswith("rtc")] == [f"rtc-{n}" for n in range(processes)]
    assert plan.environ["OPENTALKING_RTC_WORKERS"] == str(processes)
    told = plan_for(tmp_path, OPENTALKING_RTC_WORKERS="3")
    assert told.environ["OPENTALKING_RTC_WORKERS"] == "3"


def test_a_folder_named_api_where_the_user_stands_is_not_ours(tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "__init__.py").touch()
    script = "import api; print(api.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=plan_for(tmp_path).environ, capture_output=True, text=True
    )
    assert result.stdout.strip() == str(plans.checkout() / "api" / "__init__.py")
