"""build_times.py on logs made here: what is summed, what is counted once, and how a missing log is told."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).with_name("build_times.py")
NINJA_LOG = """# ninja log v5
0\t2000\t1\tserver/engine/CMakeFiles/induct_engine.dir/linear.cc.o\ta
0\t9000\t1\tserver/engine/CMakeFiles/induct_engine.dir/norm.cc.o\tb
9000\t10500\t2\tserver/engine/CMakeFiles/induct_engine.dir/norm.cc.o\tb
0\t3000\t1\tproto/induct/v1/job.pb.cc\tc
0\t3000\t1\tproto/induct/v1/job.pb.h\tc
10500\t10
"""
CTEST_LOG = """Start testing
1/1 Testing: engine_test
1/1 Test: engine_test
Test time =  15.42 sec
"""


def run(build, *arguments):
    return subprocess.run([sys.executable, SCRIPT, build, *arguments], capture_output=True, text=True, check=False)


class BuildTimesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.build = pathlib.Path(self.folder.name)

    def test_rooms_are_summed_over_last_builds_and_steps_counted_once(self):
        (self.build / ".ninja_log").write_text(NINJA_LOG)
        lines = run(self.build).stdout.splitlines()
        self.assertIn("| server/engine | 2 | 4 |", lines)  # 2.0 + 1.5, not 9.0
        self.assertIn("| proto | 1 | 3 |", lines)
        self.assertIn("| **all** | 3 | 6 |", lines)

    def test_slowest_files_and_tests_are_listed(self):
        (self.build / ".ninja_log").write_text(NINJA_LOG)
        (self.build / "Testing" / "Temporary").mkdir(parents=True)
        (self.build / "Testing" / "Temporary" / "LastTest.log").write_text(CTEST_LOG)
        lines = run(self.build, "--slowest", "1").stdout.splitlines()
        self.assertIn("| proto/induct/v1/job.pb.h | 3.0 |", lines)
        self.assertNotIn("| server/engine/CMakeFiles/induct_engine.dir/linear.cc.o | 2.0 |", lines)
        self.assertIn("| engine_test | 15.4 |", lines)

    def test_a_folder_that_was_not_built_is_told(self):
        result = run(self.build)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("build first", result.stderr)


if __name__ == "__main__":
    unittest.main()
