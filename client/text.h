// Text that came from outside: is it UTF-8, and what of it may a terminal see.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace induct::client {

// `text` with control characters written as \n, \t, \x1b ..., and those that turn the direction of text, so
// that no name or message from a server steers a terminal or a page. Bytes that are no UTF-8 are escaped as
// well; a backslash stays one.
std::string Printable(std::string_view text);

// `text` as a word that a shell reads as it is, on one line and Printable whatever it holds: in quotes, as
// 'it'\''s'; what cannot be shown in octal, as $'a\012b', which takes a shell that knows these quotes.
std::string ShellQuoted(std::string_view text);

// Prints `sentence` as a line on standard error, after the program's name and made Printable.
void TellUser(std::string_view sentence);

// A count that a message carries as a double; 0 for what is none.
uint64_t AsCount(double number);

// "12,345".
std::string Grouped(uint64_t number);

// "1 prompt", "12,345 prompts": for nouns that take an s.
std::string Counted(uint64_t number, std::string_view noun);

// The first characters of UTF-8 `text`, at most `columns` of them.
std::string FirstColumns(std::string_view text, size_t columns);

// Characters that a terminal shows for UTF-8 `text`, each counted as one column.
size_t DisplayWidth(std::string_view text);

}  // namespace induct::client
