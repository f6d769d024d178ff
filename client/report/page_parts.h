// What every page is made with, embedded by client/report/embed.cmake when the client is built: the scripts
// hold neither
// "</script" nor "<!--", so that they may stand in a page as they are.
#pragma once

#include <string_view>

namespace induct::client {

extern const std::string_view kPageStyle;
extern const std::string_view
    kPageScript;  // an ES module that draws the charts; needs Vega's three scripts before it

// Vega, Vega-Lite, and the interpreter that runs Vega's expressions without eval. Under the BSD licences
// beside them.
extern const std::string_view kVega, kVegaLite, kVegaInterpreter;
extern const std::string_view kVegaLicence, kVegaLiteLicence, kVegaInterpreterLicence;

}  // namespace induct::client
