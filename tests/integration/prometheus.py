"""Prometheus, promtool and amtool: those in PATH, else those that deploy/install.sh --tests put into the user's cache. None where there are none."""
import os
import pathlib
import shutil

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "induct" / "prometheus"


def find(program):
    return shutil.which(program) or shutil.which(program, path=CACHE)


PROMETHEUS, PROMTOOL, AMTOOL = find("prometheus"), find("promtool"), find("amtool")
