"""Compose and hadolint, which deploy/install.sh --tests puts into the user's cache. None where they are not."""
import os
import pathlib
import shutil

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "induct" / "container-tools-1" / "bin"
COMPOSE, HADOLINT = (shutil.which(program, path=CACHE) for program in ("docker-compose", "hadolint"))
