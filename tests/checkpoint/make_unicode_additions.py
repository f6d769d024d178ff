"""Writes server/checkpoint/unicode_additions.cc: what Unicode 15 and 16 added to the general categories of Unicode 14.

    python3.11 tests/checkpoint/make_unicode_additions.py   (its unicodedata is Unicode 14; needs `tokenizers`, 0.23 was used)

The newer categories are those of the `tokenizers` package itself, asked through its regular expressions.
"""

import pathlib
import unicodedata

from tokenizers import Regex, pre_tokenizers

OUT = pathlib.Path(__file__).parents[2] / "server/checkpoint/unicode_additions.cc"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf".split()
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

HEADER = """\
// Made by tests/checkpoint/make_unicode_additions.py.
#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

constexpr AddedRange kAdded[] = {
"""
FOOTER = """\
};

}  // namespace

std::span<const AddedRange> RangesAddedSinceUnicode14() { return kAdded; }

}  // namespace induct::checkpoint
"""


def members(category):
    """The code points of a category in the package's tables: what a pattern of them removes."""
    splitter = pre_tokenizers.Split(Regex(r"\p{%s}" % category), "removed")
    found = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        chunk = CODE_POINTS[begin : begin + 4096]
        kept = {ord(c) for word, _ in splitter.pre_tokenize_str("".join(map(chr, chunk))) for c in word}
        found.update(c for c in chunk if c not in kept)
    return found


def ranges(points):
    result = []
    for point in sorted(points):
        if result and result[-1][1] == point - 1:
            result[-1][1] = point
        else:
            result.append([point, point])
    return result


def main():
    assert unicodedata.unidata_version == "14.0.0", "needs Python 3.11"
    rows = []
    for category in CATEGORIES:
        known = {c for c in CODE_POINTS if unicodedata.category(chr(c)) == category}
        rows += [(first, last, category) for first, last in ranges(members(category) - known)]
    lines = [f'    {{0x{first:X}, 0x{last:X}, "{category}"}},\n' for first, last, category in sorted(rows)]
    OUT.write_text(HEADER + "".join(lines) + FOOTER, encoding="utf-8")


if __name__ == "__main__":
    main()
