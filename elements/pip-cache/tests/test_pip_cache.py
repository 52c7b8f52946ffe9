"""pip's cache, on the host."""


def test_the_cache_is_lent(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("mount")
    run = element("pip-cache").run("root.d/11-pip-cache")
    assert run.ok, run.output
    mount = next(call for call in run.calls if call.name == "mount")
    assert mount.args[0] == "--bind" and mount.args[1].endswith("/pip") and mount.args[2].endswith("/tmp/pip")


def test_pip_is_told(fake_root, element):
    fake_root.like("debian-12")
    under_test = element("pip-cache")
    script = under_test.hooks / "install.d/50-show"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\necho "$PIP_CACHE_DIR"\n')
    script.chmod(0o755)
    assert under_test.run("install.d/50-show").output == "/tmp/pip\n"
