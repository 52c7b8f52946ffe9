"""Rocky Linux from its container image."""

REPO = "/etc/yum.repos.d/rocky.repo"
STOCK = ("[baseos]\nmirrorlist=https://m.test/x\n"
         "#baseurl=http://dl.rockylinux.test/$contentdir/$releasever/BaseOS/$basearch/os/\n")


def test_its_containerfile_is_built(fake_root, element, commands):
    fake_root.mkdir("/")
    fake_root.env |= {"DISTRO_NAME": "", "DIB_RELEASE": ""}
    commands.on("podman", "build").does('while [ "$1" != --iidfile ]; do shift; done; echo 1 >"$2"; cat "$4"')
    commands.on("podman", "export").does("tar -cf - -T /dev/null")
    run = element("rocky-container").run("root.d/08-containerfile")
    assert run.ok and "rockylinux:9" in run.output


def test_a_mirror(fake_root, element):
    fake_root.like("rocky-9")
    fake_root.write(REPO, STOCK)
    under_test = element("rocky-container")
    assert under_test.run("pre-install.d/01-set-rocky-mirror").wrote == ()
    assert under_test.run("pre-install.d/01-set-rocky-mirror", env={"DIB_DISTRIBUTION_MIRROR": "http://r.test/r/"}).ok
    assert fake_root.read(REPO) == "[baseos]\nbaseurl=http://r.test/r/$releasever/BaseOS/$basearch/os/\n"
