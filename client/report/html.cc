#include "client/report/html.h"

#include "client/report/markdown.h"

namespace induct::client {
namespace {

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  return escaped;
}

}  // namespace

std::string HtmlPage(const Document& document) {
  return "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">"
         "<pre>" + Escaped(MarkdownPage(document)) + "</pre>\n";
}

}  // namespace induct::client
