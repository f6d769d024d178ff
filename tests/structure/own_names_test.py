"""What files define in unnamed namespaces is unique in a room and in a test program, and is not in the room's headers.

A room's files are compiled together (induct_unity in CMakeLists.txt), so a helper of one file is seen by the files after it. Two helpers of
one name are mostly an error then, but a call may also pick the wrong one without a word: this test sees both.
"""
import collections
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A folder and those below it are one room.
ROOMS = ["common", "proto", "client", *sorted(str(p.parent.relative_to(ROOT)) for p in ROOT.glob("server/*/CMakeLists.txt")),
         *sorted(str(p.parent.relative_to(ROOT)) for p in ROOT.glob("tests/*/CMakeLists.txt"))]
# Overloaded on purpose: one for each plain type.
OVERLOADED = {"ToMessage"}
# Each program of these folders is compiled by itself.
APART = {"tests/benchmark", "tests/structure"}

UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
DEFINED = re.compile(r"""^(?:template\s*<[^\n]*>\n)?
    (?:(?:struct|class|enum\ class|enum|union)\ (?P<type>\w+)
    |using\ (?P<alias>\w+)\ =
    |(?:inline\ |static\ |constexpr\ |const\ |thread_local\ )*[\w:]+(?:<[^\n;{}]*?>)?[&*]*(?:::\w+)*\ [&*]*(?P<name>\w+)(?:\(|\ =|\{|\[|;)
    )""", re.M | re.X)
NO_NAME = {"operator", "if", "for", "while", "switch", "return", "TEST", "TEST_F", "TEST_P", "INSTANTIATE_TEST_SUITE_P", "MATCHER", "MATCHER_P"}


def names_in(code):
    for match in DEFINED.finditer(code):
        name = match["type"] or match["alias"] or match["name"]
        if name not in NO_NAME and not match[0].startswith(("return ", "namespace ")):
            yield name


def of_files(path):
    """Names that only this file should see."""
    return {name for part in UNNAMED.findall(path.read_text()) for name in names_in(part)}


def of_header(path):
    """Names that the header gives: those at the beginning of a line, so no members."""
    return set(names_in(path.read_text()))


def clashes(room):
    users = collections.defaultdict(set)
    for path in sorted((ROOT / room).rglob("*.cc")):
        for name in of_files(path):
            users[name].add(path.name)
    for folder in {room, "common"}:
        for path in sorted((ROOT / folder).rglob("*.h")):
            for name in of_header(path) & users.keys():
                users[name].add(path.name)
    return [f"{room}: {name} of {', '.join(sorted(files))}" for name, files in sorted(users.items()) if len(files) > 1 and name not in OVERLOADED]


class OwnNamesTest(unittest.TestCase):
    def test_the_names_of_a_file_are_found(self):
        code = "namespace {\nconstexpr int kA = 1;\nstruct B {\n  int c;\n};\nusing D = int;\nstd::vector<int> E(int f) {\n  return {};\n}\nconst char* G() {\n}\n" \
               "template <typename T>\nabsl::StatusOr<T> H(T t) {\n}\n}  // namespace\nint I() {}\n"
        found = {name for part in UNNAMED.findall(code) for name in names_in(part)}
        self.assertEqual(found, {"kA", "B", "D", "E", "G", "H"})

    def test_no_two_files_of_a_room_have_the_same_name_for_something_of_their_own(self):
        found = [clash for room in ROOMS if room not in APART for clash in clashes(room)]
        self.assertEqual(found, [], "\n" + "\n".join(found))


if __name__ == "__main__":
    unittest.main()
