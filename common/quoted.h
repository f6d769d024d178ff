// How errors quote what came from outside: a file, a request, another server.
#pragma once

#include <string>
#include <string_view>

namespace induct {

// `text` in single quotes, control characters escaped and cut at about 100 bytes: a status that is too long
// for a gRPC trailer would reach the client as another error.
std::string Quoted(std::string_view text);

}  // namespace induct
