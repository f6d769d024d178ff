#!/usr/bin/env python3
"""Draws a dashboard as Grafana would, by its own components out of npm, from a Prometheus that answers, in headless Chromium.

    tests/boards/draw_boards.py --board overview --server gpu01 --minutes 30 --theme dark --to picture.png [--prometheus URL] [--at_work]

What Grafana's server does beside drawing (variables, provisioning) is not shown by it. The packages (0.5 GB) go into the user's cache at the first call.
"""
import argparse
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))
from browser import Browser, find_browser  # noqa: E402

DRAW = pathlib.Path(__file__).resolve().parent / "draw"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "induct" / "draw-boards"


def bundle():
    """The script that draws, with all that it needs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    package = (DRAW / "package.json").read_text()
    installed = CACHE / "package.json"
    if not installed.exists() or installed.read_text() != package:
        installed.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            (pathlib.Path(folder) / "package.json").write_text(package)
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder], check=True)
            subprocess.run(["rm", "-rf", CACHE / "node_modules"], check=True)
            (pathlib.Path(folder) / "node_modules").rename(CACHE / "node_modules")
        installed.write_text(package)
    script = CACHE / "board.js"
    subprocess.run([CACHE / "node_modules" / ".bin" / "esbuild", DRAW / "board.jsx", "--bundle", f"--outfile={script}", "--log-level=error",
                    '--define:process.env.NODE_ENV="production"', "--loader:.ttf=dataurl"],
                   check=True, env={**os.environ, "NODE_PATH": str(CACHE / "node_modules")})
    return script


def draw(browser, script, board, path):
    """`board`: what board.jsx reads. The titles of panels that show nothing, and of those whose legend has no room."""
    page = CACHE / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="{script.with_suffix(".css").name}"><div id="root"></div>'
                    f"<script>window.BOARD = {json.dumps(board)}</script><script src=\"{script.name}\"></script>")
    browser.call("Emulation.setDeviceMetricsOverride", width=1600, height=1000, deviceScaleFactor=1, mobile=False)
    browser.call("Page.navigate", url=page.as_uri())
    drawn = browser.wait_for("window.DRAWN")
    if drawn["errors"]:
        sys.exit("\n".join(drawn["errors"]))
    height = browser.evaluate("document.getElementById('board').offsetHeight")
    picture = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={"x": 0, "y": 0, "width": 1600, "height": height, "scale": 1})
    pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
    return drawn["empty"], drawn["cut"]


def last_at_work(given):
    query = f'max(max_over_time(timestamp(induct_running_job_info{{instance=~"{given.server}"}})[{given.minutes:.0f}m:2s]))'
    with urllib.request.urlopen(f"{given.prometheus}/api/v1/query?query={urllib.parse.quote(query)}") as answer:
        found = json.load(answer)["data"]["result"]
    return int(float(found[0]["value"][1])) if found else sys.exit("no server had a job")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", required=True, choices=["overview", "models", "gpu"])
    parser.add_argument("--server", default=".*", help="as in {instance=~...}; all of them without it")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--at_work", action="store_true", help="the picture ends when a server had a job for the last time, not now")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--prometheus", default="http://127.0.0.1:9097")
    parser.add_argument("--note", default="", help="something about the data, for the picture's head")
    parser.add_argument("--to", required=True)
    given = parser.parse_args()
    end = last_at_work(given) if given.at_work else int(time.time())
    browser = Browser(find_browser() or sys.exit("there is no Chromium"))
    try:
        empty, cut = draw(browser, bundle(), {
            "dashboard": json.loads((ROOT / "deploy" / "grafana" / "dashboards" / f"{given.board}.json").read_text()), "instance": given.server,
            "theme": given.theme, "note": given.note, "prometheus": given.prometheus, "start": end - int(60 * given.minutes), "end": end}, given.to)
    finally:
        browser.close()
    print(f"{given.to}; without data: {', '.join(empty) or 'none'}; with a legend that is cut: {', '.join(cut) or 'none'}")


if __name__ == "__main__":
    main()
