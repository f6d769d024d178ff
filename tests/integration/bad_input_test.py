"""Bad input gets one sentence that names the thing, and the server goes on serving."""
import json
import os
import shutil
import socket
import struct
import subprocess
import unittest

from harness import DEMO_MODELS, SERVER, ProgramTest, write_npy

SMALL = ["--n_sequences", "8", "--bootstrap_resamples", "0"]


def safetensors(path):
    """(header, data) of a .safetensors file."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def write_safetensors(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class BadInput(ProgramTest):
    def setUp(self):
        super().setUp()
        self.models = self.dir / "models"
        shutil.copytree(DEMO_MODELS, self.models)
        self.env["INDUCT_MODEL_DIRS"] = str(self.models)
        self.server, self.address = self.start_server()

    def tearDown(self):
        # Whatever was asked, the server serves.
        self.assertIsNone(self.server.poll(), self.server.log.read_text())
        self.client("profile", "--model", "demo-large", "--server", self.address, *SMALL, "--output_dir", "after")

    def refused(self, code, *args, says=()):
        """The client's exit code and what its error must name."""
        result = self.client("profile", "--server", self.address, *args, check=code)
        for word in says:
            self.assertIn(word, result.stderr)
        self.assertLess(len(result.stderr.splitlines()), 12, result.stderr)
        return result.stderr

    def test_unknown_models_and_names_that_escape(self):
        self.refused(2, "--model", "demo-smal", says=["demo-smal", "did you mean demo-small?"])
        for name in ("../models/demo-small", "/etc", "demo-small/../demo-small", str(self.dir)):
            self.refused(2, "--model", name, says=[name])

    def test_an_absolute_path_inside_the_model_directories_works(self):
        self.client("profile", "--server", self.address, "--model", self.models / "demo-small", *SMALL)

    def test_empty_and_blank_prompts(self):
        for text in ("", "\n\n  \n"):
            (self.dir / "p.txt").write_text(text)
            self.refused(2, "--model", "demo-small", "--prompts", "p.txt", says=["p.txt"])
        (self.dir / "p.jsonl").write_text('{"text": " A b A b"}\n{"text": "  "}\n')
        self.assertRegex(self.client("profile", "--server", self.address, "--model", "demo-small", "--prompts", "p.jsonl", check=1).stderr,
                         r"p\.jsonl:2: prompt 1: it is empty or blank\n")

    def test_broken_prompt_files(self):
        for line, says in (('{"text": 5}', "text"), ('{"token_ids": [1.5]}', "token_ids"), ('{"token_ids": [-1]}', "token_ids"),
                           ("{", "p.jsonl"), ("[]", "p.jsonl"), ('{"other": 1}', "text")):
            (self.dir / "p.jsonl").write_text('{"text": " A b A b"}\n' + line + "\n")
            self.refused(2, "--model", "demo-small", "--prompts", "p.jsonl", says=["p.jsonl", "2", says])
        (self.dir / "latin.txt").write_bytes(b" caf\xe9\n")
        self.refused(2, "--model", "demo-small", "--prompts", "latin.txt", says=["latin.txt", "UTF-8"])
        (self.dir / "n.npy").write_bytes(b"not an array")
        self.refused(2, "--model", "demo-small", "--tokens", "n.npy", says=["n.npy"])
        write_npy(self.dir / "f.npy", [[1.0, 2.0]], "<f4")
        self.refused(2, "--model", "demo-small", "--tokens", "f.npy", says=["f.npy", "<f4"])
        self.refused(2, "--model", "demo-small", "--prompts", "none.txt", says=["none.txt"])

    def test_prompts_beyond_the_context_and_the_vocabulary(self):
        write_npy(self.dir / "long.npy", [list(range(300)) + list(range(300))])
        self.refused(1, "--model", "demo-small", "--tokens", "long.npy", says=["600 tokens", "512"])
        self.refused(1, "--model", "demo-small", "--seq_len", "1024", says=["1024", "512"])
        write_npy(self.dir / "outside.npy", [[1, 2, 3, 512, 1, 2, 3, 4]])
        self.refused(1, "--model", "demo-small", "--tokens", "outside.npy", says=["outside.npy, row 0: prompt 0: token id 512 at position 3 is outside"])
        (self.dir / "ids.jsonl").write_text('\n{"token_ids": [1, 2, 1, 2]}\n\n{"token_ids": [1, 2, 512, 2]}\n')
        self.refused(1, "--model", "demo-small", "--prompts", "ids.jsonl", says=["ids.jsonl:4: prompt 1: token id 512 at position 2 is outside"])
        write_npy(self.dir / "negative.npy", [[1, 2, -3, 4]])
        self.refused(2, "--model", "demo-small", "--tokens", "negative.npy", says=["-3"])

    def test_no_copy_operation_at_all(self):
        write_npy(self.dir / "once.npy", [[1, 2, 3, 4, 5, 6]])
        self.refused(1, "--model", "demo-small", "--tokens", "once.npy", says=["copy operation"])
        self.refused(1, "--model", "demo-small", "--lag_values", "1,2", *SMALL, says=["copy operation"])

    def test_settings_out_of_range_name_the_flag(self):
        for flag, value in (("high_score_quantile", "1"), ("high_score_quantile", "-0.1"), ("n_sequences", "0"), ("n_sequences", "100001"),
                            ("bootstrap_resamples", "5"), ("score", "copying"), ("antecedents", "last"), ("dtype", "int8"), ("seq_len", "2"),
                            ("lag_values", "0"), ("lag_values", "4,4"), ("batch_size", "5000"), ("n_repeats", "1"), ("min_lag", "0"),
                            ("aggregation", "max"), ("mix", "even"), ("task_types", "ABBA"), ("on_disconnect", "wait"), ("priority", "500"),
                            ("seed", "-1"), ("seed", "18446744073709551616"), ("memory_saver", "perhaps")):
            self.refused(2, "--model", "demo-small", f"--{flag}={value}", says=[flag])
        self.refused(2, "--model", "demo-small", "--lag_values", "200", says=["lag_values", "200"])
        self.refused(1, "--model", "demo-small", "--task_types", "ABAB", "--lag_values", "60", says=["60", "ABAB"])

    def test_usage(self):
        self.client(check=2)
        self.client("profile", "--server", self.address, check=2)
        self.assertIn("seq_len", self.client("profile", "--model", "demo-small", "--seq_lne", "5", check=2).stderr)
        self.client("cancel", "jobs/NONE", "--server", self.address, check=2)
        self.client("jobs", check=2)

    def test_broken_checkpoints(self):
        weights, config = self.models / "demo-small" / "model.safetensors", self.models / "demo-small" / "config.json"
        header, data = safetensors(weights)
        good_config = json.loads(config.read_text())
        name = next(n for n in header if n.endswith("query_key_value.weight"))

        def changed(tensor, **changes):
            return {**header, tensor: {**header[tensor], **changes}}

        cases = {
            "truncated": (lambda: write_safetensors(weights, header, data[:-100]), "model.safetensors"),
            "overlapping": (lambda: write_safetensors(weights, changed(name, data_offsets=[0, header[name]["data_offsets"][1] - header[name]["data_offsets"][0]]), data), "model.safetensors"),
            "out of range": (lambda: write_safetensors(weights, changed(name, data_offsets=[2**40, 2**40 + 8]), data), name),
            "wrong dtype": (lambda: write_safetensors(weights, changed(name, dtype="Q4"), data), "Q4"),
            "missing tensor": (lambda: write_safetensors(weights, {k: v for k, v in header.items() if not k.endswith("embed_in.weight")}, data), ""),
            "header of 2^63": (lambda: weights.write_bytes(struct.pack("<Q", 2**63) + b"{}"), "model.safetensors"),
            "deep header": (lambda: write_safetensors(weights, b"[" * 200000 + b"]" * 200000, b""), "model.safetensors"),
            "deep config": (lambda: config.write_text("[" * 200000 + "]" * 200000), "config.json"),
        }
        for sizes in ({"num_hidden_layers": 0}, {"num_hidden_layers": 10**9}, {"hidden_size": -1}, {"num_attention_heads": 7}, {"vocab_size": 2**62},
                      {"intermediate_size": 0}, {"num_hidden_layers": 99}, {"model_type": "mamba"}, {"hidden_size": "128"}, {"vocab_size": 1.5}):
            key = next(iter(sizes))
            says = "mamba" if key == "model_type" else "" if sizes == {"num_hidden_layers": 99} else key
            cases[f"config {sizes}"] = (lambda sizes=sizes: config.write_text(json.dumps({**good_config, **sizes})), says)
        tokenizer = self.models / "demo-small" / "tokenizer.json"
        good_tokenizer = json.loads(tokenizer.read_text())
        cases["no BPE"] = (lambda: tokenizer.write_text(json.dumps({**good_tokenizer, "model": {"type": "Unigram", "vocab": []}})), "Unigram")
        cases["no JSON"] = (lambda: tokenizer.write_text("{"), "tokenizer.json")
        for what, (breaks, says) in cases.items():
            with self.subTest(what):
                shutil.copytree(DEMO_MODELS / "demo-small", self.models / "demo-small", dirs_exist_ok=True)
                breaks()
                self.refused(1, "--model", "demo-small", *SMALL, says=["demo-small", says])

    def test_non_finite_weights_are_named(self):
        weights = self.models / "demo-small" / "model.safetensors"
        header, data = safetensors(weights)
        name = next(n for n in header if "layers.1." in n and n.endswith("query_key_value.bias"))
        begin, end = header[name]["data_offsets"]
        write_safetensors(weights, header, data[:begin] + b"\x00\x7e" * ((end - begin) // 2) + data[end:])  # NaN in float16
        self.refused(1, "--model", "demo-small", *SMALL, says=["layer 1", "finite"])

    def test_broken_settings_files(self):
        for text, says in (("seed: 1\n\tseq_len: 5\n", "s.yaml:2"), ("seed: 1\nseed: 2\n", "s.yaml:2"), ("seed: [1, 2]\n", "seed"),
                           ("sead: 1\n", "did you mean seed"), ("prompts: 4\n", "prompts")):
            (self.dir / "s.yaml").write_text(text)
            self.assertIn(says, self.client("profile", "--model", "demo-small", "--settings", "s.yaml", check=2).stderr)
            server = subprocess.run([SERVER, "--settings", "s.yaml"], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=60)
            self.assertEqual(server.returncode, 1)
            self.assertIn(says, server.stderr)

    def test_unwritable_output_folder(self):
        (self.dir / "file").write_text("a file, not a folder")
        self.assertIn("file", self.client("profile", "--server", self.address, "--model", "demo-small", *SMALL, "--output_dir", "file/x", check=4).stderr)
        self.client("profile", "--server", self.address, "--model", "demo-small", *SMALL, "--output_dir", "/proc/nowhere", check=4)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_full_disk(self):
        mount = self.dir / "small"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True).returncode != 0:
            self.skipTest("this machine lets nobody mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", "-l", mount])
        result = self.client("profile", "--server", self.address, "--model", "demo-large", "--n_sequences", "2000", "--output_dir", mount, check=4)
        self.assertIn(str(mount), result.stderr)
        self.assert_no_broken_files(mount)

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            server = subprocess.run([SERVER, "--listen", address], cwd=self.dir, env=self.env, capture_output=True, text=True, timeout=60)
        self.assertEqual(server.returncode, 1)
        self.assertIn(address, server.stderr)

    def test_an_unreachable_server(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.assertIn(address, self.client("profile", "--server", address, "--model", "demo-small", check=3).stderr)

    def test_a_device_that_is_not_there(self):
        server = subprocess.run([SERVER, "--check"], cwd=self.dir, env={**self.env, "INDUCT_DEVICE": "cuda:7"}, capture_output=True, text=True)
        self.assertEqual(server.returncode, 1)
        for word in ("cuda:7", "auto", "cpu"):
            self.assertIn(word, server.stderr)


if __name__ == "__main__":
    unittest.main()
