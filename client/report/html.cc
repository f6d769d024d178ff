#include "client/report/html.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/report/page_parts.h"
#include "client/text.h"
#include "common/sha256.h"

namespace induct::client {
namespace {

using nlohmann::json;

std::string WithoutMarkup(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

// Text from outside, to stand between tags or in a quoted attribute.
std::string Escaped(std::string_view text) { return WithoutMarkup(Printable(text)); }

json WithPrintableTexts(const json& value) {
  if (value.is_string()) return Printable(value.get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  json shown = value;
  for (json& member : shown) member = WithPrintableTexts(member);
  return shown;
}

// JSON that may stand in a <script> block and in JavaScript.
std::string ScriptJson(const json& data) {
  return absl::StrReplaceAll(
      WithPrintableTexts(data).dump(),
      {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}, {"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}});
}

// As a policy names an inline block.
std::string PolicySource(std::string_view block) {
  return absl::StrCat("'sha256-", absl::Base64Escape(absl::HexStringToBytes(Sha256Hex(block))), "'");
}

// Blocks of data are not run, so they need no hash.
std::string Policy() {
  return absl::StrCat("default-src 'none'; script-src ", PolicySource(kVega), " ", PolicySource(kVegaLite),
                      " ", PolicySource(kVegaInterpreter), " ", PolicySource(kPageScript), "; style-src ",
                      PolicySource(kPageStyle), "; base-uri 'none'; form-action 'none'");
}

// A cell to be aligned with the numbers above and below it: "12,345", "-0.1 [-0.2, 0.0]", "0.4 to 0.5", "4 x
// 8".
bool LooksLikeNumber(std::string_view cell) {
  const std::string rest =
      absl::StrReplaceAll(std::string(cell), {{" to ", ""}, {" x ", ""}, {" M", ""}, {" B", ""}});
  return rest.find_first_not_of("0123456789.,+-[] ") == std::string::npos;
}

// A hash, or another word that would make its column as wide as itself.
bool IsLongWord(std::string_view cell) {
  return cell.size() > 40 && cell.find(' ') == std::string_view::npos;
}

bool IsNumberColumn(const Table& table, size_t column) {
  return !table.rows.empty() &&
         std::all_of(table.rows.begin(), table.rows.end(),
                     [&](const std::vector<std::string>& row) { return LooksLikeNumber(row[column]); });
}

// Writes the blocks of a document, numbering its charts.
class BlockWriter {
 public:
  std::string Write(const Block& block) {
    return std::visit([this](const auto& of_kind) { return Html(of_kind); }, block);
  }

 private:
  static std::string Html(const Paragraph& paragraph) {
    return absl::StrCat("<p>", Escaped(paragraph.text), "</p>\n");
  }

  static std::string Html(const List& list) {
    std::string html = "<ul>\n";
    for (const std::string& item : list.items) absl::StrAppend(&html, "<li>", Escaped(item), "</li>\n");
    return html + "</ul>\n";
  }

  static std::string Html(const Table& table) {
    std::vector<const char*> classes;
    for (size_t i = 0; i < table.header.size(); ++i)
      classes.push_back(IsNumberColumn(table, i) ? " class=\"number\"" : "");
    const auto row = [&](const char* tag, const std::vector<std::string>& cells) {
      std::string html = "<tr>";
      for (size_t i = 0; i < cells.size(); ++i) {
        const char* of_cell = IsLongWord(cells[i]) ? " class=\"long\"" : classes[i];
        absl::StrAppend(&html, "<", tag, of_cell, ">", Escaped(cells[i]), "</", tag, ">");
      }
      return html + "</tr>\n";
    };
    std::string html =
        absl::StrCat("<div class=\"table\"><table>\n<thead>", row("th", table.header), "</thead>\n<tbody>\n");
    for (const auto& cells : table.rows) html += row("td", cells);
    return html + "</tbody>\n</table></div>\n";
  }

  std::string Html(const Chart& chart) {
    return absl::StrCat(
        "<figure class=\"chart\" id=\"chart-", ++n_charts_, "\" data-kind=\"", Escaped(chart.kind),
        "\">\n<script type=\"application/json\">", ScriptJson(chart.data),
        "</script>\n<div class=\"plot\"><noscript><p>The chart is drawn by JavaScript.</p></noscript>"
        "</div>\n<figcaption>",
        Escaped(chart.caption), "</figcaption>\n</figure>\n");
  }

  int n_charts_ = 0;
};

std::string SectionId(size_t i) { return absl::StrCat("section-", i + 1); }

std::string Contents(const Document& document) {
  if (document.sections.empty()) return "";
  std::string html = "<nav aria-label=\"Contents\">\n<ul>\n";
  for (size_t i = 0; i < document.sections.size(); ++i) {
    const Section& section = document.sections[i];
    absl::StrAppend(&html, "<li class=\"level-", section.level, "\"><a href=\"#", SectionId(i), "\">",
                    Escaped(section.title), "</a></li>\n");
  }
  return html + "</ul>\n</nav>\n";
}

std::string Sections(const Document& document) {
  BlockWriter writer;
  std::string html;
  for (size_t i = 0; i < document.sections.size(); ++i) {
    const Section& section = document.sections[i];
    absl::StrAppend(&html, "<section id=\"", SectionId(i), "\">\n<h", section.level, ">",
                    Escaped(section.title), "</h", section.level, ">\n");
    for (const Block& block : section.blocks) html += writer.Write(block);
    html += "</section>\n";
  }
  return html;
}

std::string Licences() {
  std::string html = "<details class=\"licences\">\n<summary>Licences of what draws the charts</summary>\n";
  const auto add = [&](const char* name, std::string_view licence) {
    absl::StrAppend(&html, "<h4>", name, "</h4>\n<pre>", WithoutMarkup(std::string(licence)), "</pre>\n");
  };
  add("Vega", kVegaLicence);
  add("Vega-Lite", kVegaLiteLicence);
  add("vega-interpreter", kVegaInterpreterLicence);
  return html + "</details>\n";
}

std::string Script(const char* opening, std::string_view text) {
  return absl::StrCat(opening, std::string(text), "</script>\n");
}

}  // namespace

std::string HtmlPage(const Document& document) {
  const std::string title = Escaped(document.title);
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"",
      Policy(), "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      title, "</title>\n<style>", std::string(kPageStyle), "</style>\n</head>\n<body>\n<main>\n<h1>", title,
      "</h1>\n", Contents(document), Sections(document), Licences(), "</main>\n", Script("<script>", kVega),
      Script("<script>", kVegaLite), Script("<script>", kVegaInterpreter),
      Script("<script type=\"module\">", kPageScript), "</body>\n</html>\n");
}

}  // namespace induct::client
