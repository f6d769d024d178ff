"""The hub's cache: kept within its limit by the server, listed and pruned by hand."""
import json
import shutil
import struct
import subprocess
import unittest

from harness import SERVER, SIGINT, ProgramTest, wait_for
from tiny_model import write_tiny_model

COMMITS = {"main": "a" * 40, "step3": "b" * 40, "step4": "c" * 40}
LONG = ["--n_sequences", "60000", "--task_types", "RANDOM", "--lag_values", "50", "--n_repeats", "fill", "--seq_len", "200"]
SMALL = ["--n_sequences", "8", "--bootstrap_resamples", "0", "--task_types", "ABAB", "--no_report"]


class CacheTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.hub = self.start_hub(COMMITS)
        self.repo = self.dir / "hf/hub/models--org--tiny"

    def change_weights(self, seed):
        """Gives what is fetched next weights of its own, of 0.8 MB: a tensor that no model has makes them so large."""
        shutil.rmtree(self.dir / "repository")
        write_tiny_model(self.dir / "repository", seed=seed)
        path = self.dir / "repository" / "model.safetensors"
        raw = path.read_bytes()
        length = struct.unpack("<Q", raw[:8])[0]
        header, data = json.loads(raw[8:8 + length]), raw[8 + length:]
        header["padding"] = {"dtype": "U8", "shape": [600_000], "data_offsets": [len(data), len(data) + 600_000]}
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data + bytes(600_000))

    def cache(self, *args, check=0, **env):
        result = subprocess.run([SERVER, "cache", *args], cwd=self.dir, env={**self.env, **env}, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, check, result.stderr)
        return result.stdout if check == 0 else result.stderr

    def is_there(self, revision):
        return (self.repo / "snapshots" / COMMITS[revision] / "model.safetensors").exists()

    def load(self, address, revision):
        self.client("models", "load", f"org/tiny@{revision}", "--server", address)

    def unload(self, address, revision):
        self.client("models", "unload", f"org/tiny@{revision}", "--server", address)

    def fetch_three(self, address):
        for seed, revision in enumerate(COMMITS):
            self.change_weights(seed)
            self.load(address, revision)

    def test_the_server_keeps_its_limit_but_for_what_is_loaded(self):
        server, address = self.start_server(settings="limits:\n  hub_cache_mb: 2\n")  # two fit, three do not
        for seed, revision in enumerate(COMMITS):
            self.change_weights(seed)
            self.load(address, revision)
            if revision == "main":
                self.unload(address, "main")
        self.assertEqual([self.is_there(revision) for revision in COMMITS], [False, True, True])
        self.assertRegex(server.log.read_text(), r"info \[hub cache\] removed org/tiny@main, [\d.]+ MB, last used \d{4}-")
        self.change_weights(7)
        self.load(address, "main")  # the others are loaded
        self.assertEqual([self.is_there(revision) for revision in COMMITS], [True, True, True])
        self.assertRegex(server.log.read_text(), r"warning \[hub cache\] [\d.]+ MB stay, as they are in use")

    def test_without_a_limit_nothing_is_removed_and_with_one_a_start_removes(self):
        server, address = self.start_server()
        self.fetch_three(address)
        self.assertEqual([self.is_there(revision) for revision in COMMITS], [True, True, True])
        server.kill()
        server.wait()
        self.start_server(settings="limits:\n  hub_cache_mb: 1\n")
        wait_for(lambda: [self.is_there(revision) for revision in COMMITS] == [False, False, True], "the cache to be pruned")

    def test_what_a_job_uses_stays(self):
        _, address = self.start_server()
        client = self.start_client("profile", "--model", "org/tiny", *LONG, "--memory_saver", "--server", address)
        self.wait_for_state(address, "running")
        self.assertRegex(self.cache("list"), r"(?m)^org/tiny@main .* in use$")
        self.assertRegex(self.cache("prune", "--keep_mb", "0"), r"^0 B freed; ")
        self.assertTrue(self.is_there("main"))
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        wait_for(lambda: " unused\n" in self.cache("list"), "the job to let its model go")
        self.assertIn("removed org/tiny@main, ", self.cache("prune", "--keep_mb", "0"))
        self.client("profile", "--model", "org/tiny", *SMALL, "--server", address, "--output_dir", "again")

    def test_list_and_prune_say_what_is_there_and_what_goes(self):
        self.assertIn("what servers fetched takes 0 B of", self.cache("list"))
        server, address = self.start_server()
        self.fetch_three(address)
        self.unload(address, "main")
        (self.repo / "snapshots" / COMMITS["step4"] / "README.md").write_text("somebody else's")
        listed = self.cache("list")
        for revision, state in (("main", "unused"), ("step3", "in use"), ("step4", "not a server's: stays")):
            self.assertRegex(listed, rf"(?m)^org/tiny@{revision} +\d+\.\d [kM]B  [-\d: ]{{16}}  {state}$" if revision != "step4" else rf"(?m)^org/tiny@{revision} .* {state}$")
        would = self.cache("prune", "--dry_run", "--keep_mb", "0")
        self.assertRegex(would, r"^would remove org/tiny@main, \d+\.\d [kM]B, last used .*\n\d+\.\d [kM]B would be free; .* would stay, more than allowed: in use, or not removable\n$")
        self.assertTrue(self.is_there("main"))
        self.assertRegex(self.cache("prune", INDUCT_LIMITS_HUB_CACHE_MB="1"), r"^removed org/tiny@main, ")
        self.assertEqual([self.is_there(revision) for revision in COMMITS], [False, True, True])
        self.assertRegex(self.cache("prune", "--keep_mb", "0"), r"^0 B freed; ")
        server.kill()
        server.wait()
        self.assertRegex(self.cache("prune", "--keep_mb", "0"), r"^removed org/tiny@step3, .*\n\d+\.\d [kM]B freed; of what servers fetched 0 B stay\n$")

    def test_a_revision_whose_files_are_somebody_elses_too_is_listed_as_one_that_stays(self):
        _, address = self.start_server()
        self.load(address, "main")
        self.unload(address, "main")
        python = self.repo / "snapshots" / ("d" * 40)  # as Python has it of a branch that is at the same files
        shutil.copytree(self.repo / "snapshots" / COMMITS["main"], python, symlinks=True)
        listed = self.cache("list")
        self.assertRegex(listed, rf"(?m)^org/tiny@main +\d+\.\d [kM]B  [-\d: ]{{16}}  stays: shares its files with org/tiny@{'d' * 40}$")
        self.assertEqual(self.cache("prune", "--keep_mb", "0"), "0 B freed; of what servers fetched 0 B stay\n")
        self.assertTrue(self.is_there("main"))

    def test_what_cannot_be_removed_is_said(self):
        _, address = self.start_server()
        self.load(address, "main")
        self.unload(address, "main")
        blob = (self.repo / "snapshots" / COMMITS["main"] / "model.safetensors").resolve()
        blob.unlink()
        blob.mkdir()
        (blob / "x").touch()
        (self.repo / "blobs" / "y").touch()
        said = self.cache("prune", "--keep_mb", "0", check=1)
        self.assertIn(f"cannot remove {blob}", said)
        shutil.rmtree(blob)

    def test_bad_input(self):
        self.assertIn("limits.hub_cache_mb is off", self.cache("prune", check=1))
        self.assertIn("list or prune", self.cache(check=2))
        self.assertIn("purge", self.cache("purge", check=2))
        self.assertIn("--keep_mb", self.cache("prune", "--keep_mb=-1", check=2))
        self.assertIn("--check", self.cache("list", "--check", check=2))
        self.assertIn("--dry_run", self.cache("list", "--dry_run", check=2))
        (self.dir / "bad.yaml").write_text("limits:\n  hub_cache_mb: much\n")
        self.assertIn("bad.yaml:2", self.cache("list", "--settings", "bad.yaml", check=1))


if __name__ == "__main__":
    unittest.main()
