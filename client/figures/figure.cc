#include "client/figures/figure.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/child_process.h"
#include "client/exit_code.h"
#include "client/figures/font.h"
#include "client/figures/script.h"
#include "client/text.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

constexpr absl::Duration kDrawingPatience = absl::Seconds(60);
constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr std::string_view kPngEnd("IEND\xae\x42\x60\x82", 8);

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
  if (!(*gnuplot)->WaitFor(kDrawingPatience))
    return absl::InternalError("gnuplot did not end within a minute");
  if ((*gnuplot)->succeeded()) return absl::OkStatus();
  const std::string text = said >= 0 ? ReadAll(said) : "";
  return absl::InternalError(absl::StrCat("gnuplot failed (", (*gnuplot)->Outcome(), "): ", text));
}

bool IsWhole(const std::string& bytes, PictureFormat format) {
  switch (format) {
    case PictureFormat::kPng:
      return bytes.starts_with(kPngSignature) && bytes.ends_with(kPngEnd);
    case PictureFormat::kSvg:
      return absl::StrContains(bytes, "<svg") && absl::StrContains(bytes, "</svg>");
    case PictureFormat::kPdf:
      return bytes.starts_with("%PDF-") && absl::StrContains(bytes, "%%EOF");
  }
  return false;
}

// gnuplot may exit with 0 and leave an empty picture.
absl::Status CheckPicture(const std::string& path, PictureFormat format) {
  const auto bytes = ReadFile(path);
  if (!bytes.ok())
    return absl::InternalError(absl::StrCat("gnuplot made no picture: ", bytes.status().message()));
  return IsWhole(*bytes, format) ? absl::OkStatus()
                                 : absl::InternalError("gnuplot made a picture that is not whole");
}

// What gnuplot's terminals take as a font's name without reading more out of it.
bool IsFontName(const std::string& font) {
  return IsUtf8(font) && font.size() <= 100 && std::all_of(font.begin(), font.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte >= 0x80 || absl::ascii_isalnum(byte) || c == ' ' || c == '-' || c == '.';
         });
}

bool IsSide(int pixels) { return pixels == 0 || (pixels >= kSmallestFigure && pixels <= kLargestFigure); }

}  // namespace

absl::Status CheckFigureOptions(const FigureOptions& options) {
  INDUCT_RETURN_IF_ERROR(ParseFormats(options.format).status());
  if (!IsSide(options.width) || !IsSide(options.height)) {
    return absl::InvalidArgumentError(absl::StrCat(options.width, "x", options.height,
                                                   " is no size of figures: each side may have ",
                                                   kSmallestFigure, " to ", kLargestFigure, " pixels"));
  }
  if (!IsUtf8(options.title)) return absl::InvalidArgumentError("the figures' title is no valid UTF-8");
  if (!IsFontName(options.font)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(options.font), "\" is no font's name: letters, ",
                     "digits, spaces, '-' and '.', for example \"Liberation Serif\""));
  }
  return absl::OkStatus();
}

absl::Status DrawFigure(const std::string& folder, const Figure& figure, const FigureOptions& options) {
  INDUCT_ASSIGN_OR_RETURN(const std::vector<PictureFormat> formats, ParseFormats(options.format));
  const std::string stem = absl::StrCat(folder, "/", figure.name);
  INDUCT_RETURN_IF_ERROR(WithExitCode(WriteFileAtomically(stem + ".csv", figure.csv), ExitCode::kOutput));
  INDUCT_RETURN_IF_ERROR(
      WithExitCode(WriteFileAtomically(stem + ".gp", WithDrawableCharacters(FigureScript(figure, options))),
                   ExitCode::kOutput));
  const std::string made = absl::StrCat(".made-", getpid());
  const absl::Cleanup remove_made = [&] {
    for (const PictureFormat format : formats) unlink(absl::StrCat(stem, Ending(format), made).c_str());
  };
  INDUCT_RETURN_IF_ERROR(RunGnuplot(folder, figure, made));
  for (const PictureFormat format : formats) {
    INDUCT_RETURN_IF_ERROR(CheckPicture(absl::StrCat(stem, Ending(format), made), format));
  }
  for (const PictureFormat format : formats) {
    const std::string picture = absl::StrCat(stem, Ending(format));
    if (rename(absl::StrCat(picture, made).c_str(), picture.c_str()) == 0) continue;
    return WithExitCode(absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", picture)),
                        ExitCode::kOutput);
  }
  return absl::OkStatus();
}

}  // namespace induct::client
