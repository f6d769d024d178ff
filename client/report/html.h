// Writes a document as one HTML page that needs no network.
#pragma once

#include <string>

#include "client/report/document.h"

namespace induct::client {

// The page: texts as text whatever they hold, charts drawn by Vega-Lite from data inlined beside it, under a
// Content-Security-Policy that lets nothing run or load but what the page was made with. Readable without
// scripts.
std::string HtmlPage(const Document& document);

}  // namespace induct::client
