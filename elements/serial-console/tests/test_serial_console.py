"""The old name of enable-serial-console."""


def test_it_says_its_new_name(fake_root, element):
    fake_root.like("debian-12")
    run = element("serial-console").run("extra-data.d/20-serial-console")
    assert run.ok and "enable-serial-console" in run.output


def test_the_new_element_comes_with_it(element):
    assert any((element("serial-console").hooks / "install.d").iterdir())
