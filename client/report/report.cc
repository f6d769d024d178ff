#include "client/report/report.h"

#include <filesystem>

#include "client/exit_code.h"
#include "client/report/document.h"
#include "client/report/html.h"
#include "client/report/markdown.h"
#include "common/atomic_file.h"
#include "common/status.h"

namespace induct::client {

absl::Status WriteReport(const std::vector<SavedRun>& runs, const std::vector<std::string>& problems,
                         const std::string& path) {
  const std::filesystem::path html(path);
  const Document document = MakeDocument(runs, problems, html.parent_path().string());
  const std::string markdown = std::filesystem::path(html).replace_extension(".md").string();
  INDUCT_RETURN_IF_ERROR(WithExitCode(WriteFileAtomically(path, HtmlPage(document)), ExitCode::kOutput));
  return WithExitCode(WriteFileAtomically(markdown, MarkdownPage(document)), ExitCode::kOutput);
}

}  // namespace induct::client
