"""What people build and install beside a whole build: the client alone, and programs in a folder of their own.

    packages_test.py BUILD_FOLDER
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


class PackagesTest(unittest.TestCase):
    def test_the_client_preset_builds_neither_server_nor_tests(self):
        with tempfile.TemporaryDirectory() as folder:
            output_of("cmake", "--preset", "client", "-B", folder)
            commands = output_of("ninja", "-C", folder, "-n", "-v")
        self.assertIn("client/main.cc", commands)
        for room in ("/server/", "/tests/", "libtorch"):
            self.assertNotIn(f"{ROOT}{room}" if room.startswith("/") else room, commands)

    def test_what_is_installed_runs_where_it_is(self):
        with tempfile.TemporaryDirectory() as folder:
            output_of("cmake", "--install", BUILD, "--prefix", folder)
            self.assertEqual(sorted(path.name for path in pathlib.Path(folder, "bin").iterdir()), ["induct-client", "induct-server"])
            for program in ("induct-client", "induct-server"):
                self.assertIn("induct", output_of(f"{folder}/bin/{program}", "--version"))


if __name__ == "__main__":
    BUILD = sys.argv.pop(1)
    unittest.main()
