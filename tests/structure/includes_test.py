"""Every file includes what it uses of the libraries whose headers rooms precompile: a precompiled header would hide a missing line.

A name that a library gives in one header asks for that header, in the file itself or in a header of this project that it includes first
(its own). Only names that no other header of the project's use gives are listed; the debug and asan presets, which precompile nothing, see
the rest.
"""
import os
import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Pattern of a use -> pattern of the includes that give it.
GIVEN_BY = {
    r"\bCLI::": r"<?CLI/",
    r"\bgrpc::": r"grpcpp/|grpc\.pb\.h",
    r"\bat::Tensor\b": r"ATen/|torch/",
    r"\bat::empty\(": r"ATen/ops/empty\.h|ATen/ATen\.h",
    r"\bat::zeros\(": r"ATen/ops/zeros\.h|ATen/ATen\.h",
    r"\bv1::\w+Service\b": r"_service\.grpc\.pb\.h",
    r"\bnlohmann::": r"nlohmann/",
    r"\babsl::StrCat\(": r"absl/strings/str_cat\.h",
    r"\babsl::StrJoin\(": r"absl/strings/str_join\.h",
    r"\babsl::StrSplit\(": r"absl/strings/str_split\.h",
    r"\babsl::StrFormat\(": r"absl/strings/str_format\.h",
    r"\babsl::Mutex\b": r"absl/synchronization/mutex\.h",
    r"\bstd::vector<": r"^vector$",
    r"\bstd::map<": r"^map$",
    r"\bstd::set<": r"^set$",
    r"\bstd::optional<": r"^optional$",
    r"\bstd::(sort|min_element|max_element|any_of|all_of|none_of|find_if|transform)\(": r"^algorithm$",
    r"\bstd::(unique_ptr|shared_ptr|make_unique|make_shared)\b": r"^memory$",
    r"\bstd::function<": r"^functional$",
}
INCLUDE = re.compile(r'^\s*#include\s+["<]([^">]+)[">]', re.M)
NO_CODE = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"')


def sources():
    for folder in ("common", "proto", "server", "client", "tests"):
        yield from (p for p in (ROOT / folder).rglob("*") if p.suffix in (".h", ".cc"))


def includes_of(path, seen):
    """The file's includes, and those of the project's headers that it includes."""
    found = set()
    for include in INCLUDE.findall(path.read_text()):
        found.add(include)
        header = ROOT / include
        if header.exists() and header not in seen:
            seen.add(header)
            found |= includes_of(header, seen)
    return found


def missing(path):
    code = NO_CODE.sub("", INCLUDE.sub("", path.read_text()))
    included = includes_of(path, set())
    for use, given_by in GIVEN_BY.items():
        match = re.search(use, code)
        if match and not any(re.search(given_by, include) for include in included):
            yield f"{os.path.relpath(path, ROOT)} uses {match[0].strip('(<')} and includes nothing that gives it"


class Includes(unittest.TestCase):
    def test_files_include_what_they_use(self):
        paths = list(sources())
        self.assertGreater(len(paths), 300)
        self.assertEqual([fault for path in paths for fault in missing(path)], [])

    def test_a_missing_include_is_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".cc") as file:
            file.write('#include <string>\n// std::vector<int> in a comment\nstd::optional<std::string> name();\n')
            file.flush()
            faults = list(missing(pathlib.Path(file.name)))
        self.assertEqual(len(faults), 1, faults)
        self.assertIn("std::optional", faults[0])


if __name__ == "__main__":
    unittest.main()
