#include "client/figures/figure.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "client/child_process.h"
#include "client/exit_code.h"
#include "client/text.h"
#include "common/atomic_file.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kPngEnd("IEND\xae\x42\x60\x82", 8);

// The whole script: both pictures of one description. Pictures get the ending `made`, which is empty when a
// user runs the script.
std::string WholeScript(const Figure& figure) {
  const auto output = [&](const char* ending) {
    return absl::StrCat("set output '", figure.name, ending, "'.made\n");
  };
  return absl::StrCat(
      "# Run in this folder: gnuplot ", figure.name, ".gp\n", "# It reads ", figure.name, ".csv and writes ",
      figure.name, ".png and ", figure.name, ".svg\n", "if (!exists('made')) made = ''\n",
      "set datafile separator ','\n", figure.settings, "set terminal pngcairo noenhanced size ", figure.width,
      ",", figure.height, " font 'DejaVu Sans,22' linewidth 2\n", output(".png"), figure.plot,
      "unset output\n", "set terminal svg noenhanced size ", figure.width / 2, ",", figure.height / 2,
      " font 'DejaVu Sans,11' background '#ffffff'\n", output(".svg"), figure.plot, "unset output\n");
}

std::string ReadAll(int fd) {
  std::string text(2000, '\0');
  const ssize_t length = pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
  absl::StripAsciiWhitespace(&text);
  return text;
}

// Runs the script, its pictures getting the ending `made`.
absl::Status RunGnuplot(const std::string& folder, const Figure& figure, const std::string& made) {
  const int said = memfd_create("gnuplot-output", MFD_CLOEXEC);
  const absl::Cleanup close_said = [said] {
    if (said >= 0) close(said);
  };
  ChildOptions options{.folder = folder, .output_fd = said};
  options.arguments = {"gnuplot", "-e", absl::StrCat("made='", made, "'"), absl::StrCat(figure.name, ".gp")};
  auto gnuplot = ChildProcess::Start(options);
  if (!gnuplot.ok()) return gnuplot.status();
  if (!(*gnuplot)->WaitFor(kPatience)) return absl::InternalError("gnuplot did not end within a minute");
  if ((*gnuplot)->succeeded()) return absl::OkStatus();
  const std::string text = said >= 0 ? ReadAll(said) : "";
  return absl::InternalError(absl::StrCat("gnuplot failed (", (*gnuplot)->Outcome(), "): ", text));
}

// gnuplot may exit with 0 and leave an empty picture.
absl::Status CheckPicture(const std::string& path, bool is_png) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok())
    return absl::InternalError(absl::StrCat("gnuplot made no picture: ", bytes.status().message()));
  const bool whole = is_png ? bytes->starts_with(kPngSignature) && bytes->ends_with(kPngEnd)
                            : absl::StrContains(*bytes, "<svg") && absl::StrContains(*bytes, "</svg>");
  return whole ? absl::OkStatus() : absl::InternalError("gnuplot made a picture that is not whole");
}

}  // namespace

std::string GnuplotString(const std::string& text) {
  std::string plain = text;
  for (char& c : plain) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  // gnuplot 5.4 misreads a doubled quote at a string's beginning, so a quote becomes its typographic sister.
  return absl::StrCat("'", absl::StrReplaceAll(plain, {{"'", "\xe2\x80\x99"}}), "'");
}

absl::Status DrawFigure(const std::string& folder, const Figure& figure) {
  const std::string stem = absl::StrCat(folder, "/", figure.name);
  INDUCT_RETURN_IF_ERROR(WithExitCode(WriteFileAtomically(stem + ".csv", figure.csv), ExitCode::kOutput));
  INDUCT_RETURN_IF_ERROR(
      WithExitCode(WriteFileAtomically(stem + ".gp", WholeScript(figure)), ExitCode::kOutput));
  constexpr std::array kEndings = {".png", ".svg"};
  const std::string made = absl::StrCat(".made-", getpid());
  const absl::Cleanup remove_made = [&] {
    for (const char* ending : kEndings) unlink(absl::StrCat(stem, ending, made).c_str());
  };
  INDUCT_RETURN_IF_ERROR(RunGnuplot(folder, figure, made));
  for (const char* ending : kEndings) {
    INDUCT_RETURN_IF_ERROR(CheckPicture(absl::StrCat(stem, ending, made), ending == kEndings[0]));
  }
  for (const char* ending : kEndings) {
    if (rename(absl::StrCat(stem, ending, made).c_str(), absl::StrCat(stem, ending).c_str()) == 0) continue;
    return WithExitCode(absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", stem, ending)),
                        ExitCode::kOutput);
  }
  return absl::OkStatus();
}

}  // namespace induct::client
