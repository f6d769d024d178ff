"""The scripts that people start: what they say while they work, when a step fails, and when they are called wrongly. Nothing is installed."""
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = [*ROOT.glob("deploy/*.sh"), *ROOT.glob("tests/*.sh"), *ROOT.glob("tests/*/*.sh")]


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def run_steps(script):
    return run("bash", "-c", f"set -euo pipefail\nsource deploy/steps.sh\n{script}")


class StepsTest(unittest.TestCase):
    def test_each_step_is_numbered_and_timed_and_leaves_stdout_to_its_command(self):
        done = run_steps('start_steps 2\nstep "first thing" "repeat first" echo one\nstep "second thing" "repeat second" echo two')
        self.assertEqual((done.returncode, done.stdout), (0, "one\ntwo\n"))
        self.assertRegex(done.stderr, r"^step 1 of 2: first thing\nstep 1 of 2: done in \d+ s\n"
                                      r"step 2 of 2: second thing\nstep 2 of 2: done in \d+ s\n$")

    def test_a_failed_step_names_what_repeats_it_and_ends_the_script_with_its_exit_code(self):
        failed = run_steps('start_steps 2\nstep "first thing" "repeat --verbose" bash -c "exit 7"\nstep "second" "again" echo two')
        self.assertEqual((failed.returncode, failed.stdout), (7, ""))
        self.assertRegex(failed.stderr, r"step 1 of 2 failed after \d+ s\. This repeats it with everything shown:\n  repeat --verbose\n$")

    def test_a_build_that_is_no_terminal_shows_warnings_and_errors_alone(self):
        shown = run_steps('cmake() { echo "[1/2] Building x"; echo "x.cc:1: warning: y"; echo "ninja: no work to do."; }\nbuild release')
        self.assertEqual((shown.returncode, shown.stdout), (0, "x.cc:1: warning: y\n"))


class ScriptsTest(unittest.TestCase):
    def test_each_parses(self):
        for script in SCRIPTS:
            with self.subTest(script=script.name):
                self.assertEqual(run("bash", "-n", str(script)).stderr, "")

    def test_a_wrong_argument_is_answered_with_the_usage(self):
        for command in (["deploy/install.sh", "--no-such"], ["tests/long.sh", "no-such"], ["tests/run.sh", "--no-such"], ["tests/operations/run.sh", "--no-such"]):
            with self.subTest(command=command):
                wrong = run(*command)
                self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
                self.assertIn(f"usage: {command[0]}", wrong.stderr)

    def test_each_that_people_start_tells_its_use_wherever_it_is_called_from(self):
        for script in ("deploy/install.sh", "deploy/quickstart.sh", "tests/run.sh", "tests/long.sh", "tests/operations/run.sh"):
            for flag in ("-h", "--help"):
                with self.subTest(script=script, flag=flag):
                    shown = subprocess.run(["./" + pathlib.Path(script).name, flag], cwd=(ROOT / script).parent, capture_output=True, text=True, check=False)
                    self.assertEqual((shown.returncode, shown.stderr), (0, ""))
                    head = (ROOT / script).read_text().splitlines()[1]
                    self.assertTrue(shown.stdout.startswith(head.removeprefix("# ") + "\n"), shown.stdout)

    def test_help_of_the_test_run_tells_the_labels_that_tests_have(self):
        shown = run("tests/run.sh", "--help")
        self.assertEqual(shown.returncode, 0)
        files = [ROOT / "CMakeLists.txt", *ROOT.glob("tests/**/CMakeLists.txt")]
        labels = {label for file in files for label in re.findall(r"LABELS (\w+)", file.read_text())}
        self.assertGreater(len(labels), 2)
        for label in labels:
            self.assertRegex(shown.stdout, rf"\b{label}\b")

    def test_a_wrong_torch_dir_is_refused_before_anything_is_installed(self):
        refused = run("env", "TORCH_DIR=/nonexistent", "deploy/install.sh")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("TORCH_DIR=/nonexistent holds no lib/libtorch_cpu.so", refused.stderr)


if __name__ == "__main__":
    unittest.main()
