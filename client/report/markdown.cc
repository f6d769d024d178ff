#include "client/report/markdown.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/text.h"

namespace induct::client {
namespace {

// What would begin a list or a heading's underline, at the start of a line.
std::string EscapeStart(std::string text) {
  const auto digits = std::find_if(text.begin(), text.end(), [](char c) { return !absl::ascii_isdigit(c); });
  const auto at = digits - text.begin();
  if (at > 0 && digits != text.end() && (*digits == '.' || *digits == ')')) return text.insert(at, 1, '\\');
  if (!text.empty() && std::string_view("-+=").find(text[0]) != std::string_view::npos) return "\\" + text;
  return text;
}

std::string EscapeMarkdown(const std::string& text) {
  static constexpr std::string_view kMarkup = "\\`*_{}[]<>#|~$&!";
  std::string escaped;
  for (const char c : Printable(text)) {
    if (kMarkup.find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  // What GitHub makes links of without being asked.
  return absl::StrReplaceAll(escaped, {{"://", "\\://"}, {"www.", "www\\."}, {"@", "\\@"}});
}

std::string EscapeLine(const std::string& text) { return EscapeStart(EscapeMarkdown(text)); }

std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const std::string& cell : cells) absl::StrAppend(&row, " ", EscapeMarkdown(cell), " |");
  return row + "\n";
}

// A path within a link: what may stand there plainly, the rest in percent signs.
std::string LinkPath(const std::string& path) {
  std::string link;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || std::string_view("-._/+").find(c) != std::string_view::npos) {
      link += c;
    } else {
      absl::StrAppend(&link, "%", absl::BytesToHexString(std::string(1, c)));
    }
  }
  return link;
}

std::string Write(const Paragraph& paragraph) { return absl::StrCat(EscapeLine(paragraph.text), "\n\n"); }

std::string Write(const List& list) {
  std::string text;
  for (const std::string& item : list.items) absl::StrAppend(&text, "- ", EscapeLine(item), "\n");
  return text + "\n";
}

std::string Write(const Table& table) {
  std::string text = MarkdownRow(table.header) + "|";
  for (size_t i = 0; i < table.header.size(); ++i) text += " --- |";
  text += "\n";
  for (const auto& row : table.rows) text += MarkdownRow(row);
  return text + "\n";
}

std::string Write(const Chart& chart) {
  const std::string caption = absl::StrCat("*", EscapeMarkdown(chart.caption), "*\n\n");
  if (chart.image.empty()) return caption;
  return absl::StrCat("![", EscapeMarkdown(chart.caption), "](", LinkPath(chart.image), ")\n\n", caption);
}

}  // namespace

std::string MarkdownPage(const Document& document) {
  std::string text = absl::StrCat("# ", EscapeMarkdown(document.title), "\n\n");
  for (const Section& section : document.sections) {
    absl::StrAppend(&text, std::string(static_cast<size_t>(section.level), '#'), " ",
                    EscapeMarkdown(section.title), "\n\n");
    for (const Block& block : section.blocks)
      text += std::visit([](const auto& of_kind) { return Write(of_kind); }, block);
  }
  return text;
}

}  // namespace induct::client
