// The log as JSON and, in a process of its own, as text.
#include "common/logging.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace induct {
namespace {

using nlohmann::json;

class LoggingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { InitLogging(LogLevel::kInfo, LogFormat::kJson); }
  void SetUp() override { SetLogLevel(LogLevel::kInfo); }

  template <typename Work>
  std::vector<json> LinesOf(const Work& work) {
    testing::internal::CaptureStderr();
    work();
    std::istringstream text(testing::internal::GetCapturedStderr());
    std::vector<json> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }
};

TEST_F(LoggingTest, ALineHasTimeLevelSubjectAndText) {
  const auto lines = LinesOf([] { Log(LogLevel::kWarning, "server", "a \"text\""); });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].size(), 4u);
  EXPECT_EQ(lines[0]["level"], "warning");
  EXPECT_EQ(lines[0]["subject"], "server");
  EXPECT_EQ(lines[0]["text"], "a \"text\"");
  const std::string time = lines[0]["time"];
  EXPECT_TRUE(time.size() == 24 && time[10] == 'T' && time.back() == 'Z') << time;
}

TEST_F(LoggingTest, NothingInATextMakesASecondLineOrOneThatCannotBeRead) {
  const auto lines = LinesOf([] { Log(LogLevel::kInfo, "a\nb", "x\n{\"job\":\"y\"}\x01\xff\xc3"); });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_FALSE(lines[0].contains("job"));
}

TEST_F(LoggingTest, AJobsLinesCarryItsNameAndSoDoOthersOfAThreadThatWorksForIt) {
  const auto lines = LinesOf([] {
    LogJob(LogLevel::kInfo, "jobs/1", "accepted");
    {
      const WorkingForJob working("jobs/2");
      Log(LogLevel::kInfo, "engine", "while it works");
    }
    Log(LogLevel::kInfo, "engine", "afterwards");
  });
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["job"], "jobs/1");
  EXPECT_FALSE(lines[0].contains("subject"));
  EXPECT_EQ(lines[1]["job"], "jobs/2");
  EXPECT_EQ(lines[1]["subject"], "engine");
  EXPECT_FALSE(lines[2].contains("job"));
}

TEST_F(LoggingTest, TheLevelChangesWhileItRuns) {
  const auto lines = LinesOf([] {
    Log(LogLevel::kDebug, "server", "1");
    SetLogLevel(LogLevel::kDebug);
    Log(LogLevel::kDebug, "server", "2");
    SetLogLevel(LogLevel::kError);
    Log(LogLevel::kWarning, "server", "3");
  });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["text"], "2");
}

TEST(TextLogDeathTest, NothingInATextMakesASecondLine) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process in which nobody has begun to log
  EXPECT_EXIT(
      {
        InitLogging(LogLevel::kInfo, LogFormat::kText);
        Log(LogLevel::kInfo, "server", "x\n2026-01-01 error [server] forged\r\x1b[31m");
        std::exit(0);
      },
      testing::ExitedWithCode(0), "info \\[server\\] x 2026-01-01 error \\[server\\] forged  \\[31m");
}

}  // namespace
}  // namespace induct
