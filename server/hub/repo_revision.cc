#include "server/hub/repo_revision.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/quoted.h"
#include "common/status.h"

namespace induct::hub {
namespace {

constexpr size_t kMaxNamePart = 96;
constexpr size_t kMaxRevision = 200;
constexpr size_t kMaxFileName = 255;
constexpr char kFolderPrefix[] = "models--";
constexpr char kFolderSeparator[] = "--";

bool IsNameCharacter(char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; }
bool IsWordCharacter(char c) { return absl::ascii_isalnum(c) || c == '_'; }
bool IsRevisionCharacter(char c) {
  return IsNameCharacter(c) || c == '/' || c == '+' || c == '@' || c == '=' || c == ',';
}

bool IsNamePart(absl::string_view part) {
  return !part.empty() && part.size() <= kMaxNamePart && std::ranges::all_of(part, IsNameCharacter) &&
         IsWordCharacter(part.front()) && IsWordCharacter(part.back());
}

bool IsRepo(absl::string_view repo) {
  const std::vector<absl::string_view> parts = absl::StrSplit(repo, '/');
  return parts.size() <= 2 && std::ranges::all_of(parts, IsNamePart) && !absl::StrContains(repo, "..") &&
         !absl::StrContains(repo, kFolderSeparator) && !absl::EndsWith(repo, ".git");
}

bool IsRevision(absl::string_view revision) {
  if (revision.empty() || revision.size() > kMaxRevision || absl::StrContains(revision, "..")) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(revision, '/');
  return std::ranges::all_of(revision, IsRevisionCharacter) &&
         std::ranges::none_of(parts, [](absl::string_view part) { return part.empty() || part[0] == '.'; });
}

absl::Status NoSuchName(const std::string& message) {
  return WithReason(absl::NotFoundError(message), reason::kModelNotFound);
}

}  // namespace

absl::Status CheckNames(const RepoRevision& wanted) {
  if (!IsRepo(wanted.repo)) {
    return NoSuchName(absl::StrCat(Quoted(wanted.repo),
                                   " is no name of a hub repository; such names look like 'org/name', of "
                                   "letters, digits, '-', '_' and '.'"));
  }
  if (!IsRevision(wanted.revision)) {
    return NoSuchName(absl::StrCat(Quoted(wanted.revision), " is no revision of ", Quoted(wanted.repo),
                                   "; give a branch, a tag or a commit"));
  }
  return absl::OkStatus();
}

bool IsCommit(std::string_view revision) {
  const auto is_digit = [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); };
  return revision.size() == 40 && std::ranges::all_of(revision, is_digit);
}

bool IsPlainFileName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFileName && name.front() != '.' &&
         std::ranges::all_of(name, IsNameCharacter);
}

std::string Describe(const RepoRevision& wanted) {
  return Quoted(absl::StrCat(wanted.repo, "@", wanted.revision));
}

std::string FolderOfRepo(std::string_view repo) {
  return absl::StrCat(kFolderPrefix, absl::StrReplaceAll(std::string(repo), {{"/", kFolderSeparator}}));
}

std::string RepoOfFolder(std::string_view folder) {
  const std::string name(folder);
  if (!absl::StartsWith(name, kFolderPrefix)) return "";
  const std::string repo =
      absl::StrReplaceAll(name.substr(sizeof(kFolderPrefix) - 1), {{kFolderSeparator, "/"}});
  return IsRepo(repo) ? repo : "";
}

std::string UrlEncoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (IsNameCharacter(c)) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[static_cast<unsigned char>(c) >> 4];
      encoded += kDigits[static_cast<unsigned char>(c) & 15];
    }
  }
  return encoded;
}

}  // namespace induct::hub
