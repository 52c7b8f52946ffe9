"""Our `sudo`: the options that scripts of elements use, and the environment that they get."""

from __future__ import annotations

import os
import subprocess

import pytest

from pydib import paths

SUDO = str(paths.tools_dir() / "sudo")


def sudo(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/caller", **env}
    return subprocess.run([SUDO, *arguments], env=environment, text=True, capture_output=True, check=False)


def test_a_command_runs_with_its_arguments_untouched() -> None:
    assert sudo("printf", "[%s]", "a b", "$HOME", "*").stdout == "[a b][$HOME][*]"


def test_the_exit_code_is_the_command_s() -> None:
    assert sudo("sh", "-c", "exit 42").returncode == 42


def test_the_environment_is_reset_unless_kept() -> None:
    assert sudo("sh", "-c", "echo ${X-none} $LC_ALL", X="1", LC_ALL="C").stdout == "none C\n"
    assert sudo("-E", "sh", "-c", "echo ${X-none}", X="1").stdout == "1\n"
    assert sudo("--preserve-env=X,Y", "sh", "-c", "echo ${X-none}${Z-none}", X="1", Z="2").stdout == "1none\n"


def test_assignments_reach_the_command() -> None:
    assert sudo("A=1", "B=x y", "sh", "-c", "echo $A $B").stdout == "1 x y\n"
    assert sudo("-E", "A=1", "sh", "-c", "echo $A", A="0").stdout == "1\n"


def test_dangerous_variables_and_functions_never_pass() -> None:
    done = sudo("-E", "env", PYTHONPATH="/x", LD_PRELOAD="", **{"BASH_FUNC_ls%%": "() { echo fake; }"})
    assert "PYTHONPATH" not in done.stdout
    assert "BASH_FUNC" not in done.stdout


def test_scripts_below_still_find_our_sudo() -> None:
    assert sudo("bash", "-c", "command -v sudo").stdout.strip() == SUDO


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: changes the user")
def test_another_user() -> None:
    assert sudo("-u", "nobody", "id", "-un").stdout == "nobody\n"
    assert sudo("-Hu", "nobody", "sh", "-c", "echo $HOME").stdout == "/nonexistent\n"
    assert sudo("-u", "#65534", "-g", "#65534", "id", "-u").stdout == "65534\n"


def test_a_login_shell_takes_its_command() -> None:
    assert sudo("-i", "echo", "a b").stdout.endswith("a b\n")


@pytest.mark.parametrize("arguments", [["-v"], ["-n", "true"], ["-S", "true"], ["--", "true"], ["-k", "true"]])
def test_options_that_change_nothing(arguments: list[str]) -> None:
    assert sudo(*arguments).returncode == 0


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "no command"), (["-u"], "needs a value"), (["-u", "no-such-user", "true"], "unknown user no-such-user"),
    (["--frob", "true"], "unknown option --frob"), (["-Z", "true"], "unknown option -Z"),
])
def test_what_it_cannot_do_is_told(arguments: list[str], message: str) -> None:
    done = sudo(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
