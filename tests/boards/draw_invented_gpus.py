#!/usr/bin/env python3
"""Draws the GPU board of data that are invented, as no dcgm-exporter was at hand: an hour of two unlike GPUs of one machine, of which the second becomes too
hot, is slowed down, and in the end reports Xid 79.

    tests/boards/draw_invented_gpus.py PICTURE

promtool makes the database, a Prometheus of its own answers, and the picture says that its data are invented.
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from prometheus import PROMETHEUS, PROMTOOL  # noqa: E402

STEP, STEPS = 15, 240
TOTAL_MIB = (81920, 49152)
COUNTERS = ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS")


def readings(gpu, i, chance):
    """Name to value of GPU 0 or 1 at step `i`; `chance` has a state of its own for each GPU."""
    has_job = i % 40 > 4 if gpu == 0 else 60 < i < 232
    heat = min(1, max(0, (i - 80) / 80)) if gpu == 1 and has_job else 0  # from 0, as it should be, to 1, as hot as it may become
    use = has_job * (97 - 25 * heat + chance.uniform(-3, 3))
    held = int((0.08 + has_job * (0.55 if gpu == 0 else 0.8)) * TOTAL_MIB[gpu])
    return {"DCGM_FI_DEV_GPU_UTIL": round(use), "DCGM_FI_DEV_MEM_COPY_UTIL": round(0.45 * use), "DCGM_FI_DEV_FB_USED": held,
            "DCGM_FI_DEV_FB_FREE": TOTAL_MIB[gpu] - held, "DCGM_FI_DEV_POWER_USAGE": round(70 + (5.5 if gpu == 0 else 2.6) * use, 1),
            "DCGM_FI_DEV_GPU_TEMP": round(36 + 0.28 * use + 28 * heat), "DCGM_FI_DEV_MEMORY_TEMP": round(42 + 0.3 * use + 30 * heat) if gpu == 0 else 0,
            "DCGM_FI_DEV_SM_CLOCK": round((1410 if gpu == 0 else 1740) - 700 * heat) if has_job else 210,
            "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": max(0, i - 200) // 3 if gpu == 1 else 0, "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 2 * (gpu == 1 and i > 225),
            "DCGM_FI_DEV_XID_ERRORS": 79 * (gpu == 1 and i >= 232)}


def openmetrics(end):
    chances = [random.Random(gpu) for gpu in (0, 1)]
    families = {}
    for i in range(STEPS):
        when = end - STEP * (STEPS - 1 - i)
        families.setdefault("up", []).append(f'up{{job="dcgm",instance="gpu01:9400"}} 1 {when}')
        for gpu in (0, 1):
            for name, value in readings(gpu, i, chances[gpu]).items():
                families.setdefault(name, []).append(f'{name}{{job="dcgm",instance="gpu01:9400",Hostname="gpu01",gpu="{gpu}"}} {value} {when}')
    # `unknown`, as OpenMetrics wants counters to end in _total.
    return "".join(f"# TYPE {name} {'unknown' if name in COUNTERS else 'gauge'}\n" + "".join(f"{line}\n" for line in lines)
                   for name, lines in families.items()) + "# EOF\n"


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    if not PROMETHEUS or not PROMTOOL:
        sys.exit("there is no Prometheus; deploy/install.sh --tests gets it")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "gpus.om").write_text(openmetrics(int(time.time())))
        (folder / "prometheus.yml").write_text("")
        subprocess.run([PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", "--quiet", "gpus.om", "data"], cwd=folder, check=True)
        log = folder / "log"
        with open(log, "w") as stderr:
            prometheus = subprocess.Popen([PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"],
                                          cwd=folder, stderr=stderr)
        try:
            while "Server is ready" not in log.read_text():
                if prometheus.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.05)
            address = re.search(r"address=(127\.0\.0\.1:[1-9]\d*)", log.read_text())[1]
            subprocess.run([ROOT / "tests" / "boards" / "draw_boards.py", "--board", "gpu", "--minutes", "60", "--note", "invented data",
                            "--prometheus", f"http://{address}", "--to", sys.argv[1]], check=True)
        finally:
            prometheus.kill()
            prometheus.wait()


if __name__ == "__main__":
    main()
