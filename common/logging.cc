#include "common/logging.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace induct {
namespace {

std::atomic<LogFormat> log_format = LogFormat::kText;
thread_local std::string job_of_thread;

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

// Newlines inside a line would let a request's text forge log lines.
std::string TextLine(std::string_view subject, std::string_view job, std::string_view text) {
  const std::string_view comma = subject.empty() || job.empty() ? "" : ", ";
  std::string line = fmt::format("[{}{}{}] {}", subject, comma, job, text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return line;
}

// What is no UTF-8 is replaced, so that every line can be read.
std::string JsonLine(LogLevel level, std::string_view subject, std::string_view job, std::string_view text) {
  nlohmann::ordered_json line;
  line["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  line["level"] = fmt::to_string(spdlog::level::to_string_view(ToSpdlog(level)));
  if (!subject.empty()) line["subject"] = subject;
  if (!job.empty()) line["job"] = job;
  line["text"] = text;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void Write(LogLevel level, std::string_view subject, std::string_view job, std::string_view text) {
  if (!spdlog::should_log(ToSpdlog(level))) return;
  spdlog::log(
      ToSpdlog(level), "{}",
      log_format == LogFormat::kJson ? JsonLine(level, subject, job, text) : TextLine(subject, job, text));
}

}  // namespace

void InitLogging(LogLevel level, LogFormat format) {
  log_format = format;
  spdlog::set_default_logger(spdlog::stderr_color_mt("induct"));
  spdlog::set_pattern(format == LogFormat::kJson ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  SetLogLevel(level);
}

void SetLogLevel(LogLevel level) { spdlog::set_level(ToSpdlog(level)); }

void Log(LogLevel level, std::string_view subject, std::string_view text) {
  Write(level, subject, job_of_thread, text);
}

void LogJob(LogLevel level, std::string_view job, std::string_view text) { Write(level, "", job, text); }

WorkingForJob::WorkingForJob(std::string job) { job_of_thread = std::move(job); }
WorkingForJob::~WorkingForJob() { job_of_thread.clear(); }

}  // namespace induct
