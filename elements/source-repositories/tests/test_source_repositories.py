"""Sources fetched into the image, from repositories and archives on this machine."""

import os
import subprocess
import tarfile

import pytest

SCRIPT = "extra-data.d/98-source-repositories"
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
       "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(folder, *words):
    done = subprocess.run(["git", "-C", folder, *words], env={**os.environ, **WHO}, check=True, text=True,
                          stdout=subprocess.PIPE)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository: tag v1, then one more commit on master, then a branch `side`."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "master")
    for text in ("one", "two", "three"):
        if text == "three":
            git(folder, "switch", "-q", "-c", "side")
        (folder / "file").write_text(text + "\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", text)
        if text == "one":
            git(folder, "tag", "v1")
    git(folder, "update-ref", "refs/changes/01/1/1", "side")
    git(folder, "switch", "-q", "master")
    return folder


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "unpacked/app-1.0/sub"
    folder.mkdir(parents=True)
    (folder / "file").write_text("hello\n")
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    with tarfile.open(tmp_path / "app.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "unpacked/app-1.0", "app-1.0")
    return tmp_path / "app.tar.gz"


@pytest.fixture
def fetch(fake_root, element, commands):
    """Write the lines as one element's file, and fetch."""
    commands.real("git", "curl")
    fake_root.like("debian-12")
    under_test = element("source-repositories")

    def run(lines, **env):
        (under_test.hooks / "source-repository-app").write_text(lines)
        return under_test.run(SCRIPT, env={**WHO, **env})

    run.hooks = under_test.hooks
    return run


@pytest.mark.parametrize(("ref", "text"), [
    ("", "two"), ("v1", "one"), ("side", "three"), ("refs/changes/01/1/1", "three"), ("*", "two")])
@pytest.mark.proves("source-repositories", how="real run")
@pytest.mark.contract("C-262", "C-263")
def test_a_ref_is_checked_out(fetch, fake_root, repository, ref, text):
    run = fetch(f"# a comment\n\napp git /opt/app {repository} {ref}\n")
    assert run.ok, run.output
    assert fake_root.read("/opt/app/file") == text + "\n"
    commit = git(fake_root.path("/opt/app"), "rev-parse", "HEAD")
    assert fake_root.read("/etc/dib-manifests/dib-manifest-git-image") == f"app git /opt/app {repository} {commit}\n"
    assert fake_root.read("/etc/dib-source-repositories") == "/opt/app\n"


def test_a_commit_that_is_no_tip_can_be_named(fetch, fake_root, repository):
    assert fetch(f"app git /opt/app {repository} {git(repository, 'rev-parse', 'v1')}\n").ok
    assert fake_root.read("/opt/app/file") == "one\n"


@pytest.mark.contract("C-262")
def test_the_star_brings_all_branches_and_tags(fetch, fake_root, repository):
    assert fetch(f"app git /opt/app {repository} *\n").ok
    assert git(fake_root.path("/opt/app"), "branch", "--format=%(refname:short)").split() == ["master", "side"]
    assert git(fake_root.path("/opt/app"), "tag") == "v1"


def test_the_next_build_sees_new_commits_and_offline_builds_do_not(fetch, fake_root, repository, tmp_path):
    lines = f"app git /opt/app {repository}\n"
    assert fetch(lines).ok
    (repository / "file").write_text("newest\n")
    git(repository, "commit", "-q", "-a", "-m", "newest")
    for env, text in (({"DIB_OFFLINE": "1"}, "two"), ({}, "newest")):
        subprocess.run(["rm", "-rf", fake_root.path("/opt/app")], check=True)
        run = fetch(lines, **env)
        assert run.ok, run.output
        assert fake_root.read("/opt/app/file") == text + "\n"


def test_offline_builds_need_a_filled_cache(fetch, repository):
    run = fetch(f"app git /opt/app {repository}\n", DIB_OFFLINE="1")
    assert run.exit_code == 1
    assert "not in the cache" in run.output


def test_another_repository_at_the_same_place_is_refused(fetch, repository):
    run = fetch(f"app git /opt/app {repository}\nother git /opt/app {repository}\n")
    assert run.exit_code == 1
    assert "already a clone of something else\n  in: source-repository-app, line 2\n" in run.output


@pytest.mark.contract("C-262")
def test_another_ref_at_the_same_place_is_refused(fetch, repository):
    run = fetch(f"app git /opt/app {repository}\napp git /opt/app {repository} v1\n")
    assert run.exit_code == 1
    assert "already there with another ref than v1" in run.output


def test_a_ref_that_nobody_has(fetch, repository):
    run = fetch(f"app git /opt/app {repository} nowhere\n")
    assert run.exit_code == 1
    assert f"{repository} has no nowhere" in run.output


@pytest.mark.parametrize(("ref", "path"), [
    ("", "/opt/app/sub/file"), (".", "/opt/app/app-1.0/sub/file"), ("app-1.0/sub", "/opt/app/file")])
@pytest.mark.proves("source-repositories", how="real run")
@pytest.mark.contract("C-262")
def test_an_archive_is_unpacked(fetch, fake_root, archive, ref, path):
    run = fetch(f"app tar /opt/app file://{archive} {ref}\n")
    assert run.ok, run.output
    assert fake_root.read(path) == "hello\n"
    assert fake_root.mode(path.replace("file", "tool")) == 0o755
    assert fake_root.mode("/opt/app") == 0o755


def test_a_directory_that_is_not_in_the_archive(fetch, archive):
    run = fetch(f"app tar /opt/app file://{archive} elsewhere\n")
    assert run.exit_code == 1
    assert "has no directory elsewhere" in run.output


@pytest.mark.contract("C-262")
def test_a_file_is_copied(fetch, fake_root, tmp_path):
    (tmp_path / "plain").write_text("text\n")
    assert fetch(f"app file /opt/deep/name file://{tmp_path}/plain").ok  # no line end: the last line counts, too
    assert fake_root.read("/opt/deep/name") == "text\n"
    assert fake_root.mode("/opt/deep/name") == 0o644


@pytest.mark.contract("C-260")
def test_lines_are_expanded(fetch, fake_root, tmp_path):
    (tmp_path / "plain").write_text("text\n")
    assert fetch("app file ${PLACE:-/none}/$(echo name) file://$WHERE/plain\n", PLACE="/opt", WHERE=str(tmp_path)).ok
    assert fake_root.exists("/opt/name")


@pytest.mark.contract("C-261")
def test_the_user_can_override_everything(fetch, fake_root, repository):
    assert fetch("my-app tar /opt/app http://192.0.2.1/never\n", DIB_REPOTYPE_my_app="git",
                 DIB_REPOLOCATION_my_app=str(repository), DIB_REPOREF_my_app="v1").ok
    assert fake_root.read("/opt/app/file") == "one\n"


@pytest.mark.contract("C-261")
def test_git_hosts_can_be_replaced(fetch, fake_root, repository):
    assert fetch("app git /opt/app https://example.org/repository\n", DIB_GITREPOBASE=str(repository.parent)).ok
    assert fake_root.read("/opt/app/file") == "two\n"


@pytest.mark.parametrize("env", [{"DIB_INSTALLTYPE_app": "package"}, {"DIB_DEFAULT_INSTALLTYPE": "package"},
                                 {"NO_SOURCE_REPOSITORIES": "1"}])
@pytest.mark.contract("C-261")
def test_nothing_is_fetched_for_other_install_types(fetch, fake_root, env):
    run = fetch("app git /opt/app /nowhere\n", **env)
    assert run.ok, run.output
    assert not fake_root.exists("/opt/app")


@pytest.mark.parametrize(("line", "complaint"), [
    ("app git /opt/app\n", "must have the form NAME TYPE DEST LOCATION [REF]"),
    ("app svn /opt/app x\n", "there is no repository type svn"),
    ("app git opt/app x\n", "must be an absolute path, not opt/app"),
])
def test_wrong_lines_are_named(fetch, line, complaint):
    run = fetch("# first\n" + line)
    assert run.exit_code == 1
    assert complaint in run.output
    assert run.output.endswith("  in: source-repository-app, line 2\n")


@pytest.mark.contract("C-260")
def test_backups_of_editors_are_no_lists(fetch, fake_root):
    (fetch.hooks / "source-repository-app~").write_text("nonsense\n")
    (fetch.hooks / "source-repository-app").unlink(missing_ok=True)
    assert fetch("").ok
