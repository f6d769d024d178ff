#include "client/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "client/report/page_parts.h"
#include "common/sha256.h"

namespace induct::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Document OfBlock(Block block) {
  return {.title = "T", .sections = {{.title = "S", .blocks = {std::move(block)}}}};
}

// What stands between each `open` and the `close` after it.
std::vector<std::string> Between(const std::string& page, const std::string& open, const std::string& close) {
  std::vector<std::string> found;
  for (size_t at = page.find(open); at != std::string::npos; at = page.find(open, at)) {
    at += open.size();
    found.push_back(page.substr(at, page.find(close, at) - at));
  }
  return found;
}

std::string Source(const std::string& block) {
  return "'sha256-" + absl::Base64Escape(absl::HexStringToBytes(Sha256Hex(block))) + "'";
}

std::string Policy(const std::string& page) {
  return Between(page, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\">").at(0);
}

TEST(HtmlPageTest, TextsAreEscapedWhereverTheyStand) {
  const std::string hostile = "<b>&\"'";
  Document document = OfBlock(Paragraph{hostile});
  document.title = document.sections[0].title = hostile;
  document.sections[0].blocks.push_back(List{{hostile}});
  document.sections[0].blocks.push_back(Table{.header = {hostile}, .rows = {{hostile}}});
  document.sections[0].blocks.push_back(
      Chart{.kind = hostile, .caption = hostile, .data = nlohmann::json::object()});
  const std::string page = HtmlPage(document);
  const std::string shown = "&lt;b&gt;&amp;&quot;&#39;";
  EXPECT_THAT(page, Not(HasSubstr("<b>")));
  for (const std::string around :
       {"<title>%</title>", "<h1>%</h1>", "<h2>%</h2>", "<a href=\"#section-1\">%</a>", "<p>%</p>",
        "<li>%</li>", "<th>%</th>", "<td>%</td>", "data-kind=\"%\"", "<figcaption>%</figcaption>"}) {
    const size_t at = around.find('%');
    EXPECT_THAT(page, HasSubstr(around.substr(0, at) + shown + around.substr(at + 1)));
  }
}

TEST(HtmlPageTest, ControlCharactersAndBrokenUtf8AreShown) {
  EXPECT_THAT(HtmlPage(OfBlock(Paragraph{"a\x1b[31m\n\xff"})), HasSubstr("<p>a\\x1b[31m\\n\\xff</p>"));
}

TEST(HtmlPageTest, ChartDataCannotEndTheirBlock) {
  const nlohmann::json data = {{"label", "</script><!--&\u2028\u2029\x01\xff"}, {"values", {1.5, 2}}};
  const std::string page = HtmlPage(OfBlock(Chart{.kind = "heads", .data = data}));
  const std::string block = Between(page, "<script type=\"application/json\">", "</script>").at(0);
  EXPECT_THAT(block, HasSubstr("\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\\u2029"));
  EXPECT_EQ(nlohmann::json::parse(block),
            (nlohmann::json{{"label", "</script><!--&\u2028\u2029\\x01\\xff"}, {"values", {1.5, 2}}}));
}

TEST(HtmlPageTest, ThePolicyNamesExactlyTheBlocksOfThePage) {
  const std::string page = HtmlPage(OfBlock(Chart{.kind = "heads", .data = {{"label", "x"}}}));
  std::multiset<std::string> expected, named;
  for (const char* open : {"<script>", "<script type=\"module\">"}) {
    for (const std::string& block : Between(page, open, "</script>")) expected.insert(Source(block));
  }
  for (const std::string& block : Between(page, "<style>", "</style>")) expected.insert(Source(block));
  for (const std::string& source : Between(Policy(page), "'sha256-", "'"))
    named.insert("'sha256-" + source + "'");
  EXPECT_EQ(expected.size(), 5u);
  EXPECT_EQ(named, expected);
}

TEST(HtmlPageTest, ThePolicyAllowsNothingElse) {
  const std::string policy = Policy(HtmlPage({}));
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; "));
  EXPECT_THAT(policy, HasSubstr("base-uri 'none'; form-action 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, Not(HasSubstr("http")));
}

TEST(HtmlPageTest, ScriptsMayStandInAPage) {
  for (const std::string_view script : {kPageScript, kVega, kVegaLite, kVegaInterpreter}) {
    EXPECT_EQ(script.find("</script"), std::string_view::npos);
    EXPECT_EQ(script.find("<!--"), std::string_view::npos);
  }
  EXPECT_EQ(kPageStyle.find("</style"), std::string_view::npos);
}

TEST(HtmlPageTest, ColumnsOfNumbersAreAligned) {
  const std::string page =
      HtmlPage(OfBlock(Table{.header = {"model", "score", "heads"},
                             .rows = {{"a", "0.4 [0.3, 0.5]", "2.5"}, {"b", "-0.1", "none"}}}));
  EXPECT_THAT(page, HasSubstr("<th class=\"number\">score</th><th>heads</th>"));
  EXPECT_THAT(page, HasSubstr("<td>a</td><td class=\"number\">0.4 [0.3, 0.5]</td><td>2.5</td>"));
}

TEST(HtmlPageTest, HeadingsFollowTheirSectionsLevel) {
  const std::string page = HtmlPage({.title = "T", .sections = {{.title = "A"}, {.title = "B", .level = 3}}});
  EXPECT_THAT(page, HasSubstr("<section id=\"section-1\">\n<h2>A</h2>"));
  EXPECT_THAT(page, HasSubstr("<section id=\"section-2\">\n<h3>B</h3>"));
  EXPECT_THAT(page, HasSubstr("<li class=\"level-3\"><a href=\"#section-2\">B</a></li>"));
}

TEST(HtmlPageTest, AnEmptyDocumentIsAPage) {
  const std::string page = HtmlPage({});
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr("<h1></h1>"));
  EXPECT_THAT(page, Not(HasSubstr("<nav")));
  EXPECT_THAT(page, HasSubstr("University of Washington Interactive Data Lab"));
}

TEST(HtmlPageTest, TheSameDocumentIsTheSamePage) {
  const Document document = OfBlock(Chart{.kind = "curve", .data = {{"b", 1}, {"a", 0.25}}});
  EXPECT_EQ(HtmlPage(document), HtmlPage(document));
}

}  // namespace
}  // namespace induct::client
