// The server's log on standard error, by spdlog. As text:
//
//   2026-01-02 03:04:05.678 info [jobs/01H...] text          about a job
//   2026-01-02 03:04:05.678 info [engine, jobs/01H...] text  about something else, while it works for a job
//
// As JSON, one object a line: "time" (RFC 3339, UTC), "level", "subject" where it is no job's own line, "job"
// where there is one, "text".
#pragma once

#include <string>
#include <string_view>

namespace induct {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// Call once before the first line. Lines below `level` are dropped.
void InitLogging(LogLevel level, LogFormat format);

// From the next line on; safe from every thread.
void SetLogLevel(LogLevel level);

// Writes one line; safe from every thread. `subject` is what the line is about: a model's name, a room,
// "server".
void Log(LogLevel level, std::string_view subject, std::string_view text);

// The same about a job, by its name.
void LogJob(LogLevel level, std::string_view job, std::string_view text);

// While it lives, this thread's lines carry the name of the job that it works for. One at a time a thread.
class WorkingForJob {
 public:
  explicit WorkingForJob(std::string job);
  ~WorkingForJob();
  WorkingForJob(const WorkingForJob&) = delete;
  WorkingForJob& operator=(const WorkingForJob&) = delete;
};

}  // namespace induct
