"""Models: named, listed, loaded, unloaded, larger than their budget, and from a hub."""
import json
import platform
import re
import subprocess
import sys
import unittest

from harness import CLIENT, DEMO_MODELS, LONG, SIGINT, SIGTERM, ProgramTest, wait_for

SMALL = ["--n_sequences", "8", "--bootstrap_resamples", "0", "--task_types", "ABAB", "--no_report"]
# Runs the command that follows where the only name server takes questions and answers none.
SILENCE = """
import fcntl, os, socket, struct, subprocess, sys, tempfile
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(silent, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
silent.bind(("127.0.0.1", 53))
silent.set_inheritable(True)
with tempfile.NamedTemporaryFile("w", dir=os.getcwd(), delete=False) as file:
    file.write("nameserver 127.0.0.1\\n")
subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
os.execv(sys.argv[1], sys.argv[1:])
"""
PRIVATE = ["unshare", "--map-root-user", "--mount", "--net"]
COMMITS = {"main": "a" * 40, "step3": "b" * 40}


class ModelsTest(ProgramTest):
    def state(self, address, name):
        return json.loads(self.client("inspect", name, "--json", "--server", address).stdout)

    def scores(self, output):
        [run] = sorted((self.dir / output / "runs").iterdir())
        return self.json(run / "metadata.json"), next(run.glob("scores_*_induction.npy"), None) or next(run.glob("scores_*.npy"))

    def test_a_model_is_listed_inspected_loaded_and_unloaded(self):
        _, address = self.start_server()
        listed = self.client("models", "--server", address).stdout
        self.assertRegex(listed, r"NAME +STATE +L x H +PARAMS +DTYPE +SIZE +LAST USE\n")
        self.assertRegex(listed, r"demo-large +unloaded +8 x 8 +1.19M +float16 +2.38 MB\n")
        inspected = self.client("inspect", "demo-small", "--server", address).stdout
        self.assertRegex(inspected, r"words +ABAB 52 of 52 letters, NAMES 49 names\n")
        self.assertRegex(inspected, r"state +unloaded\n")

        loaded = self.client("models", "load", "demo-small", "--server", address)
        self.assertRegex(loaded.stdout, r"demo-small is loaded: [\d.]+ MB, in \d+\.\d s\n")
        self.assertIn("loading demo-small\n", loaded.stderr)
        self.assertRegex(self.client("models", "--server", address).stdout, r"demo-small +loaded .* just now\n")
        self.assertEqual(self.client("models", "unload", "demo-small", "--server", address).stdout, "demo-small is unloaded\n")
        self.assertEqual(self.state(address, "demo-small")["state"], "unloaded")

    def test_a_model_that_a_job_uses_is_not_unloaded(self):
        _, address = self.start_server()
        client = self.start_client("profile", "--model", "demo-small", *LONG, "--server", address)
        self.wait_for_state(address, "running")
        refused = self.client("models", "unload", "demo-small", "--server", address, check=1)
        self.assertIn("demo-small", refused.stderr)
        self.assertGreater(self.state(address, "demo-small")["n_pins"], 0)
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        wait_for(lambda: self.state(address, "demo-small").get("n_pins", 0) == 0, "the job to let its model go")
        self.client("models", "unload", "demo-small", "--server", address)

    def test_unknown_names_say_what_there_is(self):
        _, address = self.start_server()
        for command in (["inspect"], ["models", "load"], ["models", "unload"], ["profile", "--model"]):
            error = self.client(*command, "demo-smal", "--server", address, check=2).stderr
            self.assertIn("did you mean demo-small?", error)

    def test_a_relative_path_names_a_model_of_a_private_server_alone(self):
        (self.dir / "here").symlink_to(DEMO_MODELS)
        self.env["INDUCT_MODEL_DIRS"] = "here"
        for path in ("./here/demo-small", "./here/../here/demo-small/", self.dir / "here" / "demo-small"):
            self.assertTrue(self.client("inspect", path).stdout.startswith("demo-small\n"), path)
        self.client("profile", "--model", "./here/demo-small", *SMALL)
        saved = (self.run_dir() / "config.yaml").read_text()
        self.assertIn(f'models: ["{self.dir}/here/demo-small"]', saved, "it can be repeated from another folder")
        self.assertTrue(self.run_dir().name.endswith("-profile-demo-small"), self.run_dir())
        self.assertTrue((self.run_dir() / "profile_demo-small.json").exists())
        _, address = self.start_server()
        for command in (["inspect"], ["profile", "--model"]):
            error = self.client(*command, "./here/demo-small", "--server", address, check=2).stderr
            self.assertIn("means nothing to a server that others share", error)

    def test_jobs_take_turns_in_a_budget_that_holds_one_of_their_models(self):
        _, address = self.start_server(settings="model_memory_mb: 5\n")
        for model in ("demo-small", "demo-large", "demo-small"):
            self.client("profile", "--model", model, *SMALL, "--server", address)
            states = {m["name"]: m["state"] for m in json.loads(self.client("models", "--json", "--server", address).stdout)["models"]}
            self.assertEqual(states, {"demo-small": "unloaded", "demo-large": "unloaded", model: "available"})

    def test_a_model_larger_than_the_budget_is_streamed_with_the_same_scores(self):
        self.env["INDUCT_LINEAR"] = "aten"  # what is fastest differs: packed weights are not streamed
        outputs = {}
        for megabytes in (3, 100):
            _, address = self.start_server(settings=f"model_memory_mb: {megabytes}\n")
            output = f"budget-{megabytes}"
            stderr = self.client("profile", "--model", "demo-large", *SMALL, "--server", address, "--output_dir", output).stderr
            metadata, scores = self.scores(output)
            self.assertEqual(metadata["models"][0]["streamed"], megabytes == 3)
            self.assertEqual("float32, streamed)" in stderr, megabytes == 3, stderr)
            outputs[megabytes] = scores.read_bytes()
        self.assertEqual(outputs[3], outputs[100])

    @unittest.skipUnless(platform.machine() == "x86_64", "oneDNN has no such limit elsewhere")
    def test_where_bfloat16_is_slower_than_float32_each_run_says_so_and_the_log_once(self):
        self.env["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # no processor computes in bfloat16 then
        server, address = self.start_server()
        for output in ("first", "second"):
            self.client("profile", "--model", "demo-small", "--dtype", "bfloat16", "--n_sequences", "200", "--bootstrap_resamples", "0",
                        "--no_report", "--no_figures", "--server", address, "--output_dir", output)
            [warning] = self.scores(output)[0]["warnings"]
            self.assertRegex(warning, r"^bfloat16 is slow on this processor: linear layers of demo-small run at \d+ GFLOP/s, in float32 at \d+$")
        self.assertEqual(server.log.read_text().count("bfloat16 is slow"), 1)

    def test_of_several_models_those_that_are_streamed_are_named(self):
        _, address = self.start_server(settings="model_memory_mb: 3\n")
        self.client("crosssize", "--models", "demo-small", "demo-large", *SMALL, "--server", address)
        metadata = self.json(self.run_dir() / "metadata.json")
        self.assertEqual([(m["source"], m["streamed"]) for m in metadata["models"]], [("demo-small", False), ("demo-large", True)])

    def test_a_load_beyond_the_budget_is_refused(self):
        _, address = self.start_server(settings="model_memory_mb: 3\n")
        self.assertIn("stream", self.client("models", "load", "demo-large", "--server", address, check=1).stderr)


class HubTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.hub = self.start_hub(COMMITS)

    def test_a_revision_is_downloaded_once_and_named_in_the_metadata(self):
        first = self.client("profile", "--model", "org/tiny@step3", *SMALL)
        self.assertRegex(first.stderr, "downloading org/tiny@step3 .*model.safetensors")
        self.assertEqual(self.json(self.run_dir() / "metadata.json")["models"][0]["revision"], COMMITS["step3"])
        self.hub.requests.clear()
        self.client("profile", "--model", "org/tiny@step3", *SMALL, "--output_dir", "again")
        self.assertEqual(self.hub.requests, [])
        self.assertTrue((self.dir / "hf/hub/models--org--tiny/snapshots" / COMMITS["step3"] / "config.json").exists())
        self.assertRegex(self.client("models").stdout, r"org/tiny@step3 +unloaded +3 x 4 ")
        self.assertRegex(self.client("inspect", "org/tiny@step3").stdout, rf"revision +{COMMITS['step3']}\n")

    def test_prompts_of_a_model_that_is_not_downloaded_yet_are_not_shown_and_it_is_said_how_they_can_be(self):
        preview = ["profile", "--model", "org/tiny", "--task_types", "ABAB", "--print_prompts"]
        self.assertIn("induct-client models load org/tiny", self.client(*preview, check=2).stderr)
        self.assertEqual(self.hub.requests, [])
        self.client("models", "load", "org/tiny")
        self.assertTrue(self.client(*preview).stdout.startswith("ABAB\t"))

    def test_a_download_shows_how_far_it_is_and_ends_when_it_is_interrupted(self):
        self.hub.slow.set()
        for command in (["models", "load", "org/tiny"], ["profile", "--model", "org/tiny", *SMALL]):
            client = self.start_client(*command)
            wait_for(lambda: re.search(r"downloading .* \d+ %", client.stderr.readline()), "a share of the download")
            client.send_signal(SIGINT)
            client.communicate(timeout=20)
            self.assertEqual(client.returncode, 130)
        self.hub.slow.clear()
        self.client("profile", "--model", "org/tiny", *SMALL, "--output_dir", "after")

    def test_a_download_holds_up_no_other_job(self):
        _, address = self.start_server()
        self.hub.slow.set()
        waiting = self.start_client("profile", "--model", "org/tiny", *SMALL, "--server", address)
        wait_for(lambda: "downloading" in waiting.stderr.readline(), "the download to begin")
        self.client("profile", "--model", "demo-small", *SMALL, "--server", address, "--output_dir", "other")
        self.assertIsNone(waiting.poll())
        self.hub.slow.clear()
        _, stderr = waiting.communicate(timeout=120)
        self.assertEqual(waiting.returncode, 0, stderr)

    def test_a_model_at_the_hub_is_inspected_without_its_weights(self):
        remote = self.client("inspect", "org/tiny").stdout
        self.assertFalse([r for r in self.hub.requests if r.startswith("GET") and "safetensors" in r], self.hub.requests)
        self.assertRegex(remote, r"state +at the hub, not downloaded yet: `induct-client models load org/tiny`")
        self.client("models", "load", "org/tiny")
        here = self.client("inspect", "org/tiny").stdout
        for word in ("architecture", "revision", "layers", "heads", "context", "vocabulary", "parameters", "tokenizer"):
            line = re.search(rf"^  {word} .*$", here, re.MULTILINE)[0]
            self.assertIn(line + "\n", remote)

    def test_a_hub_that_is_slow_to_tell_holds_up_nobody_else(self):
        _, address = self.start_server()
        self.hub.held.set()
        waiting = [self.start_client("inspect", f"org/tiny@{revision}", "--server", address) for revision in COMMITS for _ in range(2)]
        wait_for(lambda: len([r for r in self.hub.requests if "/api/" in r]) >= len(waiting), "the questions to the hub")
        self.client("inspect", "org/tiny", "--server", address, check=5)
        self.client("inspect", "demo-small", "--server", address)
        self.assertEqual([client.poll() for client in waiting], [None] * len(waiting))
        self.hub.held.clear()
        for client in waiting:
            out, err = client.communicate(timeout=60)
            self.assertIn("not downloaded yet", out, err)

    def test_a_question_to_the_hub_ends_when_the_server_does(self):
        server, address = self.start_server()
        self.hub.held.set()
        client = self.start_client("inspect", "org/tiny", "--server", address)
        wait_for(lambda: [r for r in self.hub.requests if r.startswith("GET") and "tokenizer.json" in r], "the tokenizer to be asked for")
        server.send_signal(SIGTERM)
        _, error = client.communicate(timeout=20)
        self.assertEqual(client.returncode, 5, error)
        self.assertIn("shutting down", error)

    def test_a_hub_that_cannot_be_reached_has_an_exit_code_of_its_own(self):
        self.env["HF_ENDPOINT"] = "http://hub.invalid"
        for command in (["inspect"], ["models", "load"], ["profile", "--model"]):
            self.assertIn("hub.invalid", self.client(*command, "org/tiny", check=7).stderr)

    def test_a_name_server_that_never_answers_is_not_waited_for_longer_than_it_may_take(self):
        self.env["HF_ENDPOINT"] = "http://hub.invalid"
        if subprocess.run([*PRIVATE, "true"], capture_output=True).returncode != 0:
            self.skipTest("no private namespaces here")
        for command in (["inspect"], ["profile", "--model"]):
            result = subprocess.run([*PRIVATE, sys.executable, "-c", SILENCE, CLIENT, *command, "org/tiny"], cwd=self.dir, env=self.env,
                                    capture_output=True, text=True, timeout=100)
            self.assertEqual(result.returncode, 7, result.stderr)
            self.assertRegex(result.stderr, "the hub cannot be reached: .*no name server answered within 6 s")
            self.assertNotIn("trying again", result.stderr)

    def test_a_plan_goes_on_with_the_models_that_the_hub_is_not_needed_for(self):
        self.env["HF_ENDPOINT"] = "http://hub.invalid"
        (self.dir / "plan.yaml").write_text("models: [org/tiny, demo-small]\nprompts:\n  n_sequences: 8\n")
        table = self.client("run", "--plan", "plan.yaml", "--no_figures", check=1).stdout
        for line in ("profile of org/tiny +failed +.*the hub cannot be reached", "profile of demo-small +done ", "causal of demo-small +done "):
            self.assertRegex(table, line)

    def test_what_the_hub_refuses_is_said_with_its_cause(self):
        self.assertIn("step4", self.client("models", "load", "org/tiny@step4", check=2).stderr)
        self.hub.status = 403
        self.assertRegex(self.client("models", "load", "org/tiny", check=1).stderr, "HF_TOKEN")
        self.env["HF_HUB_OFFLINE"] = "1"
        self.assertIn("HF_HUB_OFFLINE", self.client("profile", "--model", "org/tiny", *SMALL, check=2).stderr)

    def test_a_job_whose_model_the_hub_refuses_fails_and_says_what_to_do(self):
        _, address = self.start_server()
        private = "there is no repository 'org/{}' at " + re.escape(self.hub.address) + ", or it is private: then set HF_TOKEN"
        gated = f"org/tiny@main.*: access to it is restricted; ask for access at {re.escape(self.hub.address)}/org/tiny and set HF_TOKEN"
        refusals = [
            (200, {}, "org/none", private.format("none")),
            (200, {}, "org/tiny@step4", "'org/tiny' has no revision 'step4' at .*; name a branch, a tag or a commit that it has"),
            (404, {}, "org/tiny", private.format("tiny")),
            (401, {}, "org/tiny", private.format("tiny")),
            (401, {"X-Error-Code": "GatedRepo"}, "org/tiny", gated),
            (403, {}, "org/tiny", gated),
        ]
        for count, (self.hub.status, self.hub.headers, model, expected) in enumerate(refusals, start=1):
            before = set(self.runs())
            failed = self.client("profile", "--model", model, *SMALL, "--server", address, check=1)
            self.assertIn("accepted as jobs/", failed.stderr)
            self.assertRegex(failed.stderr, expected)
            self.assertEqual(self.job_states(address), ["failed"] * count)
            (run,) = set(self.runs()) - before
            metadata = self.json(run / "metadata.json")
            self.assertEqual(metadata["state"], "failed")
            self.assertRegex(metadata["error"], expected)

    def test_a_hub_that_is_down_is_tried_again_which_an_interrupt_ends(self):
        self.hub.status = 503
        client = self.start_client("models", "load", "org/tiny")
        wait_for(lambda: "trying again" in client.stderr.readline(), "the word that it is tried again")
        client.send_signal(SIGINT)
        client.communicate(timeout=20)
        self.assertEqual(client.returncode, 130)


if __name__ == "__main__":
    unittest.main()
