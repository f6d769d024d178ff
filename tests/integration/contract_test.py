"""What the contract promises beyond the client's own use of it: a run rebuilt from the server alone, and jobs by reflection."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import unittest

from harness import ROOT, ProgramTest, wait_for

SMALL = ["--model", "demo-small", "--n_sequences", "16", "--bootstrap_resamples", "50"]
# In metadata.json: times, and what only the client knows that ran the command.
OF_ITS_OWN = ["created", "client_version"]


class Rebuilt(ProgramTest):
    """`fetch` makes the run directory that the run itself left, from the job and its artifacts."""

    def setUp(self):
        super().setUp()
        self.server, self.address = self.start_server()

    def check(self, *command):
        self.client(*command, "--server", self.address, "--no_figures", "--no_report", "--quiet")
        run = self.run_dir()
        job = self.json(run / "metadata.json")["job"]
        self.client("fetch", job, "--server", self.address, "--output_dir", "anew", "--no_figures", "--no_report", "--quiet")
        anew, = (self.dir / "anew" / "runs").iterdir()
        self.assertEqual({p.name for p in anew.iterdir()}, {p.name for p in run.iterdir()})
        for path in run.iterdir():
            if path.name != "metadata.json":
                self.assertEqual((anew / path.name).read_bytes(), path.read_bytes(), path.name)
        ours, theirs = (self.json(folder / "metadata.json") for folder in (run, anew))
        for key in OF_ITS_OWN:
            ours.pop(key), theirs.pop(key)
        self.assertEqual(ours, theirs)
        # The same request is known by the same sum, so that a plan finds the rebuilt run done.
        self.assertRegex(ours["request_sha256"], "^[0-9a-f]{64}$")

    def test_profile(self):
        self.check("profile", *SMALL)

    def test_profile_of_given_prompts(self):
        (self.dir / "p.txt").write_text("a b c d a b c d\n e f g h e f g h\n")
        self.check("profile", *SMALL, "--prompts", "p.txt")

    def test_comparison_with_labels(self):
        self.check("crosssize", "--models", "demo-small", "demo-large", "--labels", "the 'small'\n<one>", "large", "--n_sequences", "16",
                   "--bootstrap_resamples", "50")

    def test_nulls(self):
        self.check("nulls", *SMALL, "--null_resamples", "49", "--permutation_resamples", "99")

    def test_causal_of_given_heads_with_control_prompts(self):
        (self.dir / "c.txt").write_text("some other text\nand one more\n")
        self.check("causal", *SMALL, "--heads", "1.0,2.1", "--random_draws", "5", "--control_prompts", "c.txt")

    def test_lag_buckets(self):
        self.check("lagbuckets", *SMALL)

    def test_pattern(self):
        self.check("pattern", "--model", "demo-small", "--n_sequences", "16", "--head", "2.1", "--prompt", "3")


def grpcurl():
    """A command that takes grpcurl's arguments as far as the hand-book uses them: grpcurl itself, else buf, which asks the server for its contract too."""
    if shutil.which("grpcurl"):
        return lambda words: words
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "induct"
    found = [shutil.which("buf"), *sorted(cache.glob("buf-*/node_modules/@bufbuild/buf-*/bin/buf"))]
    buf = next((path for path in found if path), None)
    if buf is None:
        return None

    def as_buf(words):
        assert words[:2] == ["grpcurl", "-plaintext"], words
        *options, address, method = words[2:]
        return [str(buf), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect", *options, f"http://{address}/{method}"]
    return as_buf


class Reflection(ProgramTest):
    """The lines of the hand-book, each in a shell of its own as it stands there, with this test's address and job."""

    def lines(self):
        section = (ROOT / "docs" / "operations.md").read_text().split("\n## Jobs without the client\n")[1].split("\n## ")[0]
        return re.findall(r"^grpcurl .*$", section, re.M)

    def run_line(self, line, job, call):
        words = shlex.split(line.replace("gpu01:50051", self.address).replace("jobs/NAME", job))
        result = subprocess.run(call(words), capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, f"{line}\n{result.stdout}\n{result.stderr}")
        return result.stdout

    @unittest.skipUnless(grpcurl(), "there is neither grpcurl nor buf; deploy/install.sh --tests installs buf")
    def test_the_hand_books_lines_do_what_they_say(self):
        self.server, self.address = self.start_server()
        lines = self.lines()
        methods = [line.rsplit("/", 1)[1] for line in lines]
        self.assertEqual(methods, ["CreateJob", "WatchJob", "ListJobs", "GetJob", "ReadArtifact", "CancelJob", "DeleteJob", "GetServerStatus"])
        call = grpcurl()
        job, told = "", {}
        for method, line in zip(methods, lines):
            told[method] = self.run_line(line, job, call)
            if method == "CreateJob":
                job = json.loads(told[method])["name"]
        self.assertIn('"finished"', told["WatchJob"])
        self.assertIn(job, told["ListJobs"])
        described = json.loads(told["GetJob"])
        self.assertEqual(described["state"], "STATE_SUCCEEDED")
        self.assertIn("profile_demo-small.json", [artifact["name"] for artifact in described["artifacts"]])
        self.assertIn('"data"', told["ReadArtifact"])
        self.assertEqual(json.loads(told["CancelJob"])["state"], "STATE_SUCCEEDED")
        wait_for(lambda: self.job_states(self.address) == [], "the job to be gone")


if __name__ == "__main__":
    unittest.main()
