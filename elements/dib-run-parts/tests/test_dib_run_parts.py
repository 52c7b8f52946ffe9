"""Folders of scripts, run in an image."""

import pytest

TOOL = "dib-run-parts/dib-run-parts"


@pytest.fixture
def parts(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("dib-run-parts")
    for name, text in {"10-b": 'echo "b $COLOUR"', "9-a": "echo a", "2-two.sh": "echo dots do not count",
                       "100-c": "echo c"}.items():
        fake_root.write(f"/job/run.d/{name}", f"#!/bin/bash\n{text}\n", mode=0o755)
    fake_root.write("/job/run.d/1-not-executable", "")
    fake_root.write("/job/environment.d/10-colour.bash", "export COLOUR=green\nunset NOTHING\nfalse\n")

    def run(*words, **env):
        return under_test.run_with(TOOL, *words, side="target", env=env)

    return run


def said(run):
    return [line for line in run.output.splitlines() if not line.startswith("dib-run-parts ")]


def test_they_run_in_order_with_their_environment(parts):
    run = parts("/job/run.d")
    assert run.ok, run.output
    assert said(run) == ["a", "b green", "c"]


def test_the_first_that_fails_ends_it_with_its_code(parts, fake_root):
    fake_root.write("/job/run.d/50-x", "#!/bin/bash\nexit 7\n", mode=0o755)
    run = parts("/job/run.d")
    assert run.exit_code == 7 and said(run) == ["a", "b green"] and "50-x failed with exit code 7" in run.output


def test_a_list_and_another_pattern(parts):
    assert said(parts("--list", "/job/run.d")) == ["/job/run.d/9-a", "/job/run.d/10-b", "/job/run.d/100-c"]
    assert said(parts("--list", "/job/run.d", RUN_PARTS_REGEX=r"\.sh$")) == ["/job/run.d/2-two.sh"]


def test_an_empty_folder_is_fine_and_a_missing_one_is_not(parts, fake_root):
    fake_root.mkdir("/job/empty.d")
    assert parts("/job/empty.d").ok
    assert parts("/job/none.d").exit_code == 1


def test_it_is_installed(fake_root, element):
    fake_root.like("debian-12")
    assert element("dib-run-parts").run("root.d/90-dib-run-parts").ok
    assert fake_root.mode("/usr/local/bin/dib-run-parts") == 0o755
