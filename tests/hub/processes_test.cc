// Several processes and one cache: hub_download as another server would run it.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <thread>

#include "tests/hub/fetch_fixture.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class ProcessesTest : public FetchFixture {
 protected:
  ProcessesTest() { hub_.PutModel(4 << 20); }

  // Starts hub_download, by a shell that runs `before` first.
  pid_t Start(const std::string& before = "") const {
    const std::string command = before + "exec " + HUB_DOWNLOAD + " fetch " + kTestRepo + " main >" +
                                (folder_ / "out").string() + " 2>" + (folder_ / "err").string();
    const std::string endpoint = "HF_ENDPOINT=" + hub_.endpoint();
    const std::string cache = "HF_HUB_CACHE=" + folder_.string();
    const char* arguments[] = {"sh", "-c", command.c_str(), nullptr};
    const char* environment[] = {endpoint.c_str(), cache.c_str(), "HF_HUB_DOWNLOAD_TIMEOUT=600", nullptr};
    pid_t child = 0;
    EXPECT_EQ(posix_spawn(&child, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments),
                          const_cast<char**>(environment)),
              0);
    return child;
  }
  static int Wait(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  }
};

TEST_F(ProcessesTest, TwoThatWantTheSameModelDownloadItOnce) {
  const pid_t one = Start(), two = Start();
  EXPECT_EQ(Wait(one), 0) << ReadTestFile(folder_ / "err");
  EXPECT_EQ(Wait(two), 0) << ReadTestFile(folder_ / "err");
  EXPECT_EQ(ReadTestFile(WeightBlob()), hub_.BytesOf("model.safetensors"));
  EXPECT_THAT(hub_.RequestsFor(kWeightsAtStorage), SizeIs(1));
}

TEST_F(ProcessesTest, AfterAKillTheNextOneResumes) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.stall_after = 3 << 20; });
  const pid_t first = Start();
  while (!fs::exists(Incomplete()) || fs::file_size(Incomplete()) < (3 << 20)) std::this_thread::yield();
  kill(first, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(Wait(first)));
  EXPECT_FALSE(fs::exists(WeightBlob()));
  EXPECT_FALSE(fs::exists(InSnapshot("model.safetensors")));

  EXPECT_EQ(Wait(Start()), 0) << ReadTestFile(folder_ / "err");
  EXPECT_EQ(ReadTestFile(InSnapshot("model.safetensors")), hub_.BytesOf("model.safetensors"));
  EXPECT_THAT(RangesAskedFor(), ElementsAre("", "bytes=3145728-"));
}

TEST_F(ProcessesTest, TheOneThatWaitsTakesOverFromAKilledOne) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.stall_after = 3 << 20; });
  const pid_t first = Start();
  while (!fs::exists(Incomplete()) || fs::file_size(Incomplete()) < (3 << 20)) std::this_thread::yield();
  bool has_waited = false;
  const auto snapshot = (*Hub::Create(options_))
                            ->Fetch({kTestRepo, "main"},
                                    [&](const DownloadProgress& now) {
                                      if (now.note.empty() || has_waited) return;
                                      has_waited = true;
                                      kill(first, SIGKILL);
                                    },
                                    {});
  Wait(first);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(has_waited);
  EXPECT_THAT(RangesAskedFor(), ElementsAre("", "bytes=3145728-"));
}

TEST_F(ProcessesTest, ADiskThatFillsUpIsNamedAndTheRestComesLater) {
  // Files may grow to 1 MiB; a write beyond is an error instead of a signal.
  EXPECT_NE(Wait(Start("trap '' XFSZ; ulimit -f 2048; ")), 0);
  EXPECT_THAT(ReadTestFile(folder_ / "err"),
              HasSubstr("FAILED_PRECONDITION: hub cache: cannot write " + Incomplete()));
  EXPECT_EQ(fs::file_size(Incomplete()), 1u << 20);
  ExpectFetched();
  EXPECT_EQ(RangesAskedFor().back(), "bytes=1048576-");
}

}  // namespace
}  // namespace induct::hub
