"""Interrupting, killing, breaking off: nothing is left behind and nothing is half-written."""
import contextlib
import json
import os
import socket
import subprocess
import threading
import unittest

from harness import CLIENT, LONG, SIGINT, SIGKILL, SIGTERM, ProgramTest, processes_with, wait_for

SMALL = ["--n_sequences", "8", "--bootstrap_resamples", "0"]


class Forwarder:
    """A TCP proxy whose connections a test can cut, as a network would."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.pairs.append((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.pairs.clear()

    def close(self):
        self.listener.close()
        self.cut()


class Lifecycle(ProgramTest):
    def started_client(self, *args):
        """A client whose job runs, told by its screen."""
        client = self.start_client("profile", "--model", "demo-small", *LONG, *args)
        lines = []

        def running():
            line = client.stderr.readline()
            lines.append(line)
            self.assertNotEqual(line, "", f"the client ended: {lines}")
            return "running" in line or "started" in line
        wait_for(running, "the job to run")
        return client

    def test_ctrl_c_cancels_the_job(self):
        _, address = self.start_server()
        client = self.started_client("--server", address)
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 130)
        self.wait_for_state(address, "cancelled")
        self.assertEqual(self.json(self.run_dir() / "metadata.json")["state"], "cancelled")

    def test_ctrl_c_ends_the_private_server_too(self):
        client = self.started_client()
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        self.assertEqual(client.returncode, 130)
        wait_for(lambda: not self.servers_of_this_test(), "the private server to end")

    def servers_of_this_test(self):
        """Process ids of the private servers whose working directory is this test's."""
        found = []
        for pid, _ in processes_with("induct-server"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/cwd") == str(self.dir):
                    found.append(pid)
        return found

    def test_killing_the_client_ends_its_private_server(self):
        client = self.started_client()
        self.assertEqual(len(self.servers_of_this_test()), 1)
        client.send_signal(SIGKILL)
        client.wait()
        wait_for(lambda: not self.servers_of_this_test(), "the private server to end")
        self.assert_no_broken_files(self.dir)
        self.client("profile", "--model", "demo-small", *SMALL)

    def test_killing_the_private_server_ends_the_client_with_3(self):
        client = self.started_client()
        [pid] = self.servers_of_this_test()
        os.kill(pid, SIGKILL)
        _, stderr = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 3, stderr)
        self.assert_no_broken_files(self.dir)
        self.assertEqual(self.json(self.run_dir() / "metadata.json")["state"], "failed")

    def test_a_job_whose_client_was_killed_is_cancelled_after_the_grace_and_frees_the_device(self):
        _, address = self.start_server(settings="disconnect_grace: 0.2\n")
        client = self.started_client("--server", address)
        client.send_signal(SIGKILL)
        client.wait()
        self.wait_for_state(address, "cancelled")
        self.client("profile", "--model", "demo-small", "--server", address, *SMALL, "--output_dir", "next")

    def test_on_disconnect_continue_goes_on(self):
        _, address = self.start_server(settings="disconnect_grace: 0.2\n")
        client = self.started_client("--server", address, "--on_disconnect", "continue")
        client.send_signal(SIGKILL)
        client.wait()
        # Another owner's job waits its turn behind it: the first one still holds the device.
        self.assertEqual(self.job_states(address), ["running"])
        name = json.loads(self.client("jobs", "--server", address, "--json").stdout)["jobs"][0]["name"]
        self.client("cancel", name, "--server", address)
        self.wait_for_state(address, "cancelled")

    def test_a_killed_server_ends_its_clients_with_3(self):
        server, address = self.start_server()
        client = self.started_client("--server", address, "--reconnect_seconds", "1")
        server.send_signal(SIGKILL)
        _, stderr = client.communicate(timeout=120)
        self.assertEqual(client.returncode, 3, stderr)
        self.assert_no_broken_files(self.dir)

    def test_sigterm_drains_within_a_bound_and_exits_0(self):
        server, address = self.start_server(settings="drain_seconds: 0.5\n")
        client = self.started_client("--server", address)
        server.send_signal(SIGTERM)
        self.assertEqual(server.wait(timeout=20), 0)
        _, stderr = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 5, stderr)

    def test_sigterm_of_an_idle_server(self):
        server, _ = self.start_server()
        server.send_signal(SIGTERM)
        self.assertEqual(server.wait(timeout=20), 0)

    def not_serving(self, address):
        """What health says of a server that shuts down; nothing while it serves."""
        asked = subprocess.run([CLIENT, "health", "--server", address], env=self.env, capture_output=True, text=True)
        return asked.returncode == 5 and asked.stderr

    def test_health_tells_that_a_server_serves_drains_and_is_gone(self):
        server, address = self.start_server(settings="drain_seconds: 60\n")
        self.assertEqual(self.client("health", "--server", address).stdout, f"{address}: SERVING\n")
        client = self.started_client("--server", address)  # the server waits for its job
        server.send_signal(SIGTERM)
        told = wait_for(lambda: self.not_serving(address), "the server to drain")
        self.assertRegex(told, f"^induct-client: {address}: NOT_SERVING; [^\n]*\n$")
        client.send_signal(SIGINT)
        client.communicate(timeout=60)
        self.assertEqual(server.wait(timeout=20), 0)
        self.assertIn(f"cannot reach {address}", self.client("health", "--server", address, check=3).stderr)

    def test_a_client_whose_connection_breaks_attaches_again_and_misses_nothing(self):
        _, address = self.start_server()
        proxy = Forwarder(address)
        self.addCleanup(proxy.close)
        client = self.start_client("profile", "--model", "demo-large", "--server", proxy.address, "--n_sequences", "4000", "--bootstrap_resamples", "20",
                                   "--seq_len", "512", "--task_types", "RANDOM", "--lag_values", "50")
        lines, cuts = [], 0
        for line in client.stderr:
            lines.append(line)
            if cuts < 2 and ("running" in line or "started" in line or "layer" in line):
                proxy.cut()
                cuts += 1
        self.assertEqual(client.wait(timeout=120), 0, "".join(lines))
        self.assertGreaterEqual(cuts, 1)
        self.assertEqual(self.job_states(address), ["succeeded"])  # the same job, not a second one
        self.assert_no_broken_files(self.dir)
        self.assertEqual(self.json(self.run_dir() / "metadata.json")["state"], "succeeded")

    def test_jobs_of_several_owners_all_end(self):
        _, address = self.start_server()
        clients = []
        for owner in ("ann", "bob"):
            self.env["USER"] = owner
            clients += [self.start_client("profile", "--model", "demo-small", "--server", address, *SMALL, "--quiet", "--output_dir", f"{owner}{i}")
                        for i in range(3)]
        for client in clients:
            self.assertEqual(client.wait(timeout=120), 0, client.stderr.read())
        self.assertEqual(self.job_states(address), ["succeeded"] * 6)

    def test_deadlines_fail_the_job(self):
        result = self.client("profile", "--model", "demo-small", *LONG, "--run_deadline", "0.3", check=1)
        self.assertIn("deadline", result.stderr.lower())


if __name__ == "__main__":
    unittest.main()
