"""Debian packages that a back end needs: installed when we may, named when we may not."""

import os
import shutil
from pathlib import Path

from tests.harness.errors import HarnessError
from tests.harness.steps import run, step

# program -> the Debian package that brings it
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "gcc": "gcc",
    "git": "git",
}
_SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def found(program: str) -> str | None:
    """The path of an installed program; system folders are searched even if PATH lacks them."""
    return shutil.which(program, path=_SEARCHED)


def need(*programs: str) -> None:
    """Have these programs installed.

    Raises
    ------
    HarnessError
        They are missing and cannot be installed here; the message names the packages.
    """
    missing = sorted({PACKAGES[program] for program in programs if not found(program)})
    if "gcc" in missing:
        missing.append("libc6-dev")
    if not missing:
        return
    if os.geteuid() != 0 or not Path("/usr/bin/apt-get").exists():
        raise HarnessError(f"missing {', '.join(missing)}: install with `apt-get install {' '.join(missing)}`")
    with step(f"installing {', '.join(missing)} from Debian"):
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], env=env)
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=env)
