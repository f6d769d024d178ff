"""The #include lines of every room against the edges that docs/internals.md allows, and LibTorch against its one room."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Who may include whose headers; every room may include its own and common/.
ALLOWED = {
    "common": set(),
    "proto": set(),
    "server/engine": set(),
    "server/checkpoint": set(),
    "server/metrics": set(),
    "server/hub": {"server/metrics"},
    "server/jobs": {"server/metrics"},
    "server/analysis": {"server/engine"},
    "server/models": {"server/checkpoint", "server/engine", "server/hub", "server/metrics"},
    "server/runs": {"server/jobs", "server/models", "server/analysis", "server/checkpoint", "server/metrics"},
    "server/service": {"server/runs", "server/jobs", "server/models", "server/metrics", "proto"},
    "client": {"proto"},
}
# The program wires all of them.
MAIN = {"server/main.cc", "server/cache_command.h", "server/cache_command.cc"}

INCLUDE = re.compile(r'^\s*#include\s+["<]([^">]+)[">]', re.M)


def sources():
    for folder in ("common", "proto", "server", "client"):
        yield from (p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc"))


def room_of(path):
    """The room that a file, or an include written from the repository root, belongs to; None: a library."""
    if re.match(r"(induct/v1|google/rpc|grpc/health)/", path):
        return "proto"
    for room in ALLOWED:
        if path.startswith(room + "/"):
            return room
    return None


class Rooms(unittest.TestCase):
    def test_includes_stay_within_the_allowed_edges(self):
        seen = 0
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            if name in MAIN:
                continue
            room = room_of(name)
            self.assertIsNotNone(room, f"{name} is in no room")
            for include in INCLUDE.findall(path.read_text()):
                other = room_of(include)
                seen += 1
                if other not in (None, room, "common"):
                    self.assertIn(other, ALLOWED[room], f"{name} includes {include}: {room} must not know {other}")
        self.assertGreater(seen, 100)

    def test_libtorch_is_seen_by_the_engine_alone(self):
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("server/engine/"):
                self.assertIsNone(re.search(r"#include <(torch|ATen|c10)/", path.read_text()), name)

    def test_libtorch_stays_out_of_the_engines_public_header(self):
        self.assertNotRegex((ROOT / "server/engine/engine.h").read_text(), r"#include <(torch|ATen|c10)/")

    def test_libcurl_is_seen_by_one_file(self):
        seen = [p.relative_to(ROOT).as_posix() for p in sources() if "#include <curl/" in p.read_text()]
        self.assertEqual(seen, ["server/hub/http_client.cc"])

    def test_prometheus_and_its_http_server_are_seen_by_metrics_alone_and_not_by_its_public_headers(self):
        seen = {p.relative_to(ROOT).as_posix() for p in sources() if re.search(r"#include <(prometheus/|civetweb)", p.read_text())}
        self.assertEqual(seen, {f"server/metrics/{name}" for name in ("endpoint.cc", "metrics.cc", "standing.h")})

    def test_grpc_and_messages_are_seen_by_service_and_client_alone(self):
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(("proto/", "server/service/", "client/")) and name != MAIN:
                self.assertIsNone(re.search(r'#include [<"](grpc|google/protobuf|induct/v1)', path.read_text()), name)


if __name__ == "__main__":
    unittest.main()
