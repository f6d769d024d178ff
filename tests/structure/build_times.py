#!/usr/bin/env python3
"""Where a build's and a test run's time goes: a table by room from ninja's log, and one by test from ctest's, so that growth is seen.

    tests/structure/build_times.py build/release             # both, as Markdown
    tests/structure/build_times.py build/release --slowest 20  # and the slowest single files

Seconds of a room are summed over its jobs. Jobs run beside each other, so a room's sum is more than its share of the wall time; rooms are
to be compared with each other.
"""

import argparse
import collections
import pathlib
import re
import sys

NINJA_LOG_VERSION = "# ninja log v"


def read_ninja_log(path):
    """Seconds by output file. A file that was built several times counts as it was built last."""
    lines = path.read_text().splitlines()
    if not lines or not lines[0].startswith(NINJA_LOG_VERSION):
        sys.exit(f"build_times: {path} is not a log of ninja; build first")
    seconds = {}
    steps = set()
    for line in reversed(lines[1:]):
        fields = line.split("\t")
        if len(fields) != 5:
            continue  # ninja was killed while it wrote
        start, end, _, output, command = fields
        # A step with several outputs, such as protoc, has one line for each of them.
        step = (start, end, command)
        if output in seconds or step in steps:
            continue
        steps.add(step)
        seconds[output] = (int(end) - int(start)) / 1000
    return seconds


def room_of(output):
    """The folder of the source: server/engine of server/engine/CMakeFiles/induct_engine.dir/linear.cc.o."""
    folder, found, _ = output.partition("/CMakeFiles/")
    if found:
        return folder
    if output.startswith("proto/"):
        return "proto"
    return "linking"


def read_ctest_log(path):
    """Seconds by test, of the last run."""
    if not path.exists():
        return {}
    times = {}
    test = None
    for line in path.read_text(errors="replace").splitlines():
        if match := re.match(r"\d+/\d+ Testing: (\S+)", line):
            test = match[1]
        elif match := re.match(r"Test time = +([\d.]+) sec", line):
            times[test] = float(match[1])
    return times


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Tables of where a build's and a test run's time goes.")
    parser.add_argument("build", type=pathlib.Path, help="build folder, for example build/release")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="also list the N slowest files")
    arguments = parser.parse_args()

    log = arguments.build / ".ninja_log"
    if not log.exists():
        sys.exit(f"build_times: {log} is missing; build first")
    seconds = read_ninja_log(log)
    rooms = collections.defaultdict(list)
    for output, time in seconds.items():
        rooms[room_of(output)].append(time)
    by_time = sorted(rooms.items(), key=lambda room: -sum(room[1]))
    print(table(["room", "steps", "seconds"], [(room, len(times), f"{sum(times):.0f}") for room, times in by_time]
                + [("**all**", len(seconds), f"{sum(seconds.values()):.0f}")]))
    if arguments.slowest:
        slowest = sorted(seconds.items(), key=lambda item: -item[1])[:arguments.slowest]
        print("\n" + table(["file", "seconds"], [(output, f"{time:.1f}") for output, time in slowest]))
    tests = read_ctest_log(arguments.build / "Testing" / "Temporary" / "LastTest.log")
    if tests:
        print("\n" + table(["test", "seconds"], [(test, f"{time:.1f}") for test, time in sorted(tests.items(), key=lambda item: -item[1])]))


if __name__ == "__main__":
    main()
