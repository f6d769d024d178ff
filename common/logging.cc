#include "common/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace induct {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void InitLogging(LogLevel level) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("induct"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(ToSpdlog(level));
}

void Log(LogLevel level, std::string_view subject, std::string_view text) {
  // Newlines inside a line would let a request's text forge log lines.
  std::string line = fmt::format("[{}] {}", subject, text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  spdlog::log(ToSpdlog(level), "{}", line);
}

}  // namespace induct
