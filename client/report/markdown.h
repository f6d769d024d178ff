// Writes a document as Markdown (CommonMark with GitHub's tables).
#pragma once

#include <string>

#include "client/report/document.h"

namespace induct::client {

// Texts show as they are, whatever they hold: nothing in a name becomes a link, markup or HTML. Charts are
// images.
std::string MarkdownPage(const Document& document);

}  // namespace induct::client
