// The server's log: spdlog lines on standard error, "2026-01-02 03:04:05.678 info [jobs/01H...] text".
#pragma once

#include <string>
#include <string_view>

namespace induct {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Call once before the first line. Lines below `level` are dropped.
void InitLogging(LogLevel level);

// Writes one line; safe from every thread. `subject` is what the line is about, a job's or a model's name, or
// "server".
void Log(LogLevel level, std::string_view subject, std::string_view text);

}  // namespace induct
