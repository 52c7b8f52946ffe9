"""Mirrors of PyPI, for the time of the build."""

import configparser

import pytest

PRE, POST = "pre-install.d/00-configure-pypi-mirror", "post-install.d/00-unconfigure-pypi-mirror"


def written(fake_root):
    parser = configparser.ConfigParser()
    parser.read_string(fake_root.read("/root/.pip/pip.conf"))
    return dict(parser["global"])


@pytest.mark.parametrize(("env", "index", "others"), [
    ({"DIB_PYPI_MIRROR_URL": "http://a.test/s"}, None, ["http://a.test/s"]),
    ({"PYPI_MIRROR_URL": "http://a.test/s", "DIB_NO_PYPI_PIP": "1"}, "http://a.test/s", []),
    ({"DIB_PYPI_MIRROR_URL_2": "http://2.test", "DIB_PYPI_MIRROR_URL_1": "http://1.test", "DIB_OFFLINE": "1"},
     "http://1.test", ["http://2.test"]),
    ({"DIB_NO_PYPI_PIP": "1"}, "file:///tmp/pypi", []),
])
def test_pip_asks_the_mirrors_in_order(fake_root, element, env, index, others):
    fake_root.like("debian-12")
    run = element("pypi").run(PRE, env=env)
    assert run.ok, run.output
    config = written(fake_root)
    assert config.get("index-url") == index
    assert config.get("extra-index-url", "").split() == others
    assert fake_root.read("/root/.pydistutils.cfg") == f"[easy_install]\nindex_url = {[index, *others][-1]}\n"


def test_retries(fake_root, element):
    fake_root.like("debian-12")
    assert element("pypi").run(PRE, env={"DIB_PIP_RETRIES": "9"}).ok
    assert written(fake_root)["retries"] == "9"


def test_nothing_stays_and_what_was_there_comes_back(fake_root, element):
    fake_root.like("debian-12")
    fake_root.write("/root/.pydistutils.cfg", "mine\n")
    under_test = element("pypi")
    assert "no mirror is known" in under_test.run(PRE).output
    assert under_test.run(POST).ok
    assert fake_root.read("/root/.pydistutils.cfg") == "mine\n"
    assert not fake_root.exists("/root/.pip")


def test_a_mirror_in_the_cache_is_lent(fake_root, element, commands):
    fake_root.like("debian-12")
    commands.fake("mount")
    under_test = element("pypi")
    assert not under_test.run("extra-data.d/00-mount-pypi-mirror").called("mount")
    cache = fake_root.base / "cache"
    (cache / "pypi/mirror").mkdir(parents=True)
    run = under_test.run("extra-data.d/00-mount-pypi-mirror", env={"DIB_IMAGE_CACHE": str(cache)})
    assert run.ok and run.called("mount", "--bind")
