"""A product that is no more."""


def test_its_successor_is_named(fake_root, element):
    fake_root.like("bare")
    run = element("ubuntu-core").run("root.d/00-ubuntu-core")
    assert run.exit_code == 1 and "take the element ubuntu-minimal" in run.output
