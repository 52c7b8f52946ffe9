"""A distribution that is no more."""


def test_its_successor_is_named(fake_root, element):
    fake_root.like("bare")
    run = element("centos7").run("root.d/00-centos7")
    assert run.exit_code == 1 and "take the element centos" in run.output
