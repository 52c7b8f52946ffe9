"""Firmware for iLO: stand-ins for the manufacturer's files, which nobody can have here."""

import pytest


def test_without_a_folder_there_is_no_firmware(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    under_test = element("ilo")
    run = under_test.run("extra-data.d/50-ilo-firmware")
    assert run.ok and "the ramdisk gets no firmware" in run.output
    run = under_test.run("extra-data.d/50-ilo-firmware", env={"DIB_ILO_FIRMWARE_PATH": str(tmp_path / "none")})
    assert run.exit_code == 1 and "is no folder" in run.output


@pytest.mark.proves("ilo", how="stand-in")
def test_a_self_extracting_file_ends_up_in_the_ramdisk(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    firmware = tmp_path / "firmware"
    firmware.mkdir()
    (firmware / "CP1.scexe").write_text('place=${1#--unpack=}\nmkdir -p "$place"\necho flash >"$place/flash_ilo4"\n')
    (firmware / "README").write_text("")
    under_test = element("ilo")
    assert under_test.run("extra-data.d/50-ilo-firmware", env={"DIB_ILO_FIRMWARE_PATH": str(firmware)}).ok
    assert fake_root.read("/tmp/ilo/CP1.scexe/flash_ilo4") == "flash\n"
    fake_root.mkdir("/rd")
    run = under_test.run_with("ramdisk-install.d/50-ilo-firmware", side="target", env={"TMP_MOUNT_PATH": "/rd"})
    assert run.ok and fake_root.read("/rd/ilo/CP1.scexe/flash_ilo4") == "flash\n"


@pytest.mark.proves("ilo", how="stand-in")
@pytest.mark.parametrize(("code", "told"), [
    (0, "has written the firmware"), (2, "as new, or newer"), (4, "there is no such iLO"), (9, "ended with code 9"),
])
def test_what_the_firmware_says(fake_root, element, code, told):
    fake_root.like("debian-12")
    fake_root.write("/ilo/CP1.scexe/flash_ilo5", f'#!/bin/sh\necho "$*" >log\nexit {code}\n', mode=0o755)
    fake_root.write("/ilo/CP1.scexe/flash_ilo4", "not executable")
    under_test = element("ilo")
    script = under_test.hooks / "install.d/50-piece"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/bash\nerr_msg() { echo "ERROR: $*"; }\ntroubleshoot() { echo shell; }\n'
                      '. "$(dirname "$0")/../init.d/50-ilo-firmware"\n')
    script.chmod(0o755)
    run = under_test.run("install.d/50-piece")
    assert told in run.output and "--silent --log=log" in run.output
    assert ("shell" in run.output) == (code == 9)
