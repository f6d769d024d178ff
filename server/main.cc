// induct-server: reads settings, wires the rooms, runs, drains.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/threads.h"
#include "common/version.h"
#include "proto/contract.h"
#include "proto/job_specs.h"
#include "server/cache_command.h"
#include "server/engine/engine.h"
#include "server/hub/hub.h"
#include "server/jobs/scheduler.h"
#include "server/metrics/endpoint.h"
#include "server/metrics/metrics.h"
#include "server/models/linear_choices_file.h"
#include "server/models/model_registry.h"
#include "server/runs/run.h"
#include "server/service/grpc_server.h"
#include "server/service/messages.h"
#include "server/service/server_state.h"
#include "server/service/spec_settings.h"
#include "server/service/specs.h"

namespace induct {
namespace {

constexpr int kFailure = 1, kUsage = 2;
constexpr char kModelCache[] =
    "model_cache";  // as metrics and status call the file system of the hub's cache
constexpr int kBlockingThreads = 4;
constexpr int kSlowThreads = 2;
constexpr uint64_t kMaxKeepMegabytes = uint64_t{1} << 24;
constexpr int kMaxConcurrentLoads = 4;  // at once, of those that clients ask for

struct Arguments {
  std::string settings_file;
  std::string listen;
  bool check = false;
  bool cache_list = false, cache_prune = false;  // the commands on the cache, in place of serving
  bool dry_run = false;
  std::optional<uint64_t> keep_mb;
};

// The file, then the environment, then --listen.
absl::StatusOr<Settings> ReadSettings(const Arguments& arguments) {
  Settings settings;
  if (!arguments.settings_file.empty()) {
    INDUCT_ASSIGN_OR_RETURN(settings, LoadSettings(arguments.settings_file));
  }
  INDUCT_ASSIGN_OR_RETURN(const Settings environment, SettingsFromEnvironment());
  settings.Override(environment);
  if (!arguments.listen.empty())
    INDUCT_RETURN_IF_ERROR(settings.SetText(*FindSettingKey("listen"), arguments.listen));
  return settings;
}

absl::StatusOr<std::vector<std::string>> ResolveDevices(const Settings& settings) {
  std::vector<std::string> devices;
  for (const std::string& name : settings.Texts("device")) {
    INDUCT_ASSIGN_OR_RETURN(std::string device, engine::ResolveDevice(name));
    if (std::find(devices.begin(), devices.end(), device) == devices.end())
      devices.push_back(std::move(device));
  }
  if (devices.empty())
    return InvalidField("device", "at least one device is needed; auto takes what is there");
  return devices;
}

LogLevel LogLevelOf(const Settings& settings) {
  const std::string level = settings.Text("log_level");
  return level == "debug"     ? LogLevel::kDebug
         : level == "info"    ? LogLevel::kInfo
         : level == "warning" ? LogLevel::kWarning
                              : LogLevel::kError;
}

LogFormat LogFormatOf(const Settings& settings) {
  return settings.Text("log_format") == "json" ? LogFormat::kJson : LogFormat::kText;
}

// Takes over log_level as the settings have it now; where they cannot be read it stays.
void ReloadLogLevel(const Arguments& arguments) {
  const absl::StatusOr<Settings> settings = ReadSettings(arguments);
  if (!settings.ok()) {
    Log(LogLevel::kError, "server",
        absl::StrCat("SIGHUP: log_level stays as it was: ", settings.status().message()));
    return;
  }
  SetLogLevel(LogLevel::kInfo);  // this line is to be seen, whatever the levels are
  Log(LogLevel::kInfo, "server",
      absl::StrCat("SIGHUP: log_level is ", settings->Text("log_level"),
                   "; other settings are read at the start only"));
  SetLogLevel(LogLevelOf(*settings));
}

int ThreadsOf(const Settings& settings) {
  const int threads = static_cast<int>(settings.Integer("threads"));
  return threads > 0 ? threads : AvailableCores();
}

// Of what a device has, where the settings give no number: a GPU also holds residual streams and a
// micro-batch, a machine all other programs too.
constexpr double kShareOfGpu = 0.9, kShareOfCpu = 0.6;

// Bytes of weights by device; a device whose memory is unknown has no limit.
std::map<std::string, int64_t> BudgetsOf(const Settings& settings, const std::vector<std::string>& devices) {
  const auto chosen = static_cast<int64_t>(settings.Integer("model_memory_mb")) << 20;
  std::map<std::string, int64_t> budgets;
  for (const std::string& device : devices) {
    const double share = device == "cpu" ? kShareOfCpu : kShareOfGpu;
    const auto bytes =
        chosen > 0 ? chosen
                   : static_cast<int64_t>(share * static_cast<double>(engine::DeviceMemoryBytes(device)));
    if (bytes > 0) budgets[device] = bytes;
  }
  return budgets;
}

std::shared_ptr<engine::LinearChooser> LinearChooserOf(const Settings& settings) {
  const std::string path = models::LinearChoicesPath();
  return engine::MakeLinearChooser(
      engine::ParseLinearProduct(settings.Text("linear")),  // "auto" is none
      path.empty() ? nullptr : std::make_shared<models::LinearChoicesFile>(path));
}

hub::HubOptions HubOptionsOf(const Settings& settings) {
  hub::HubOptions options = hub::HubOptions::FromEnvironment();
  if (const uint64_t limit = settings.Integer("limits.hub_cache_mb"); limit > 0)
    options.max_fetched_bytes = limit << 20;
  return options;
}

models::RegistryOptions RegistryOptionsOf(const Settings& settings, const std::vector<std::string>& devices,
                                          const hub::Hub& hub, metrics::Recorder* recorder) {
  // Whoever starts a private server does so in the folder where it runs itself.
  const bool is_private = service::ListenFd(settings.Text("listen")) >= 0;
  return {.model_dirs = settings.Texts("model_dirs"),
          .client_dir = is_private ? std::filesystem::current_path().string() : "",
          .allow_models = settings.Texts("allow_models"),
          .budgets = BudgetsOf(settings, devices),
          .linear_chooser = LinearChooserOf(settings),
          .hub = &hub,
          .recorder = recorder};
}

metrics::MetricsOptions MetricsOptionsOf(const Settings& settings, const std::vector<std::string>& devices) {
  return {.version = kVersion,
          .libtorch = engine::LibTorchVersion(),
          .devices = devices,
          .job_kinds = JobKindNames(),
          .queue_limit = settings.Integer("limits.max_queued"),
          .budgets = BudgetsOf(settings, devices)};
}

// Where metrics are served; empty: nowhere. A private server is one client's for a while: nobody reads its.
absl::StatusOr<std::string> MetricsAddressOf(const Settings& settings) {
  const std::string address = settings.Text("metrics_listen");
  if (address.empty() || service::ListenFd(settings.Text("listen")) >= 0) return "";
  return metrics::MetricsAddress(address);
}

service::SpecLimits LimitsOf(const Settings& settings, const std::vector<std::string>& devices) {
  service::SpecLimits limits{
      .max_prompts = static_cast<uint32_t>(settings.Integer("limits.max_prompts")),
      .device = devices.front(),
      .activation_budget = static_cast<int64_t>(settings.Integer("activation_budget_mb")) << 20};
  for (const std::string& dtype : settings.Texts("dtypes")) limits.dtypes.push_back(*ParseDType(dtype));
  return limits;
}

v1::ServerInfo InfoOf(const Settings& settings, const std::vector<std::string>& devices,
                      const std::string& id);

// Steps as lines of the log: a new one, and each further tenth of it.
models::StepSink StepsInLog(const std::string& model) {
  return [model, what = std::string(), tenths = 0](const models::PreparationStep& step) mutable {
    const int now = static_cast<int>(10 * step.fraction.value_or(0));
    if (step.what == what && now <= tenths) return;
    what = step.what;
    tenths = now;
    Log(LogLevel::kInfo, model, now == 0 ? what : absl::StrCat(what, ", ", 10 * now, " %"));
  };
}

// "50051" of "127.0.0.1:50051".
std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// Every room, in the order in which they depend on each other; destroyed the other way round.
class Server {
 public:
  Server(const Settings& settings, std::vector<std::string> devices,
         std::unique_ptr<service::ServerState> state, std::unique_ptr<metrics::Metrics> metrics,
         std::unique_ptr<hub::Hub> hub)
      : state_(std::move(state)),
        metrics_(std::move(metrics)),
        hub_(std::move(hub)),
        registry_(RegistryOptionsOf(settings, devices, *hub_, metrics_.get())),
        environment_{.registry = &registry_,
                     .encoder = &events_,
                     .devices = std::move(devices),
                     .recorder = metrics_.get()},
        store_(jobs::NewMemoryJobStore({.max_jobs = settings.Integer("limits.kept_jobs"),
                                        .max_bytes = settings.Integer("limits.kept_mb") << 20})),
        pool_(kBlockingThreads),
        slow_pool_(kSlowThreads),
        load_threads_(kMaxConcurrentLoads),
        context_{.pool = &pool_,
                 .slow_pool = &slow_pool_,
                 .load_threads = &load_threads_,
                 .store = store_.get(),
                 .registry = &registry_,
                 .settings = settings,
                 .limits = LimitsOf(settings, environment_.devices),
                 .info = InfoOf(settings, environment_.devices, state_->id()),
                 .status = [this] { return Status(); },
                 .recorder = metrics_.get()} {
    const jobs::SchedulerOptions options{
        .n_devices = static_cast<int>(environment_.devices.size()),
        .preparing_threads = static_cast<int>(settings.Integer("preparing_threads")),
        .max_queued = settings.Integer("limits.max_queued"),
        .max_queued_per_owner = settings.Integer("limits.max_queued_per_owner"),
        .max_queued_bytes = settings.Integer("limits.max_queued_mb") << 20,
        .disconnect_grace = absl::Seconds(settings.Real("disconnect_grace")),
        .recorder = metrics_.get()};
    scheduler_ = jobs::Scheduler::Create(options, store_.get(),
                                         service::MakeWorkFactory(context_.limits, environment_));
    context_.scheduler = scheduler_.get();
  }

  absl::Status ListenForMetrics(const std::string& address) {
    INDUCT_ASSIGN_OR_RETURN(
        endpoint_, metrics::Endpoint::Start(address, [this] { return metrics_->Page(HowThingsStand()); }));
    Log(LogLevel::kInfo, "server", absl::StrCat("metrics on http://", endpoint_->address(), "/metrics"));
    return absl::OkStatus();
  }

  absl::Status Listen(const std::string& address) {
    INDUCT_ASSIGN_OR_RETURN(grpc_, service::GrpcServer::Start(address, context_));
    Log(LogLevel::kInfo, "server",
        absl::StrCat("induct-server ", kVersion, " listening on ", grpc_->address(), ", devices ",
                     absl::StrJoin(environment_.devices, ", ")));
    if (service::IsLoopback(grpc_->address())) {
      Log(LogLevel::kInfo, "server",
          absl::StrCat("only this machine can reach it; --listen 0.0.0.0:", PortOf(grpc_->address()),
                       " opens it to others, without authentication"));
    }
    for (const std::string& problem : registry_.DirectoryProblems())
      Log(LogLevel::kWarning, "server", problem);
    return absl::OkStatus();
  }

  // Keeps the hub's cache within its limit, then loads the models of the setting `models` on every device,
  // downloading what is missing. One that can't be loaded is an error in the log: the others still serve.
  void Preload(const v1::ProfileSpec& defaults, std::stop_token stop) {
    if (!hub_->KeepWithinLimit(stop).ok()) return;  // stopped
    for (const std::string& name : context_.settings.Texts("models")) {
      for (const std::string& device : environment_.devices) {
        const absl::Status status =
            PreloadOn({.device = device, .dtype = *ParseDType(defaults.run().dtype())}, name, stop);
        Log(status.ok() ? LogLevel::kInfo : LogLevel::kError, name,
            status.ok() ? absl::StrCat("loaded on ", device)
                        : absl::StrCat("not loaded: ", status.message()));
      }
    }
  }

  // Ends within `grace` and a few seconds. False: some work did not heed its stop token.
  bool Drain(absl::Duration grace) {
    grpc_->SetServing(false);
    load_threads_.Drain();
    const bool drained = scheduler_->Drain(absl::Now() + grace);
    grpc_->Shutdown(absl::Now() + absl::Seconds(1));  // streams get a moment to send their terminal events
    return drained;
  }

 private:
  absl::Status PreloadOn(const engine::LoadOptions& options, const std::string& name, std::stop_token stop) {
    const models::StepSink log = StepsInLog(name);
    INDUCT_ASSIGN_OR_RETURN(const auto files, registry_.Open(name, log, stop));
    return registry_.Load(files, options, models::WhenFull::kWait, log, stop).status();
  }

  v1::ServerStatus Status() const {
    v1::ServerStatus status;
    status.mutable_start_time()->set_seconds(absl::ToUnixSeconds(started_));
    status.set_draining(scheduler_->draining());
    status.set_queued_jobs(static_cast<uint32_t>(scheduler_->waiting().jobs));
    status.set_kept_jobs(static_cast<uint32_t>(store_->kept().jobs));
    const auto running = store_->ListLive();
    for (const jobs::JobRecord& record : running.ok() ? *running : std::vector<jobs::JobRecord>()) {
      if (record.state != jobs::JobState::kRunning) continue;
      v1::RunningJob& job = *status.add_running_jobs();
      job.set_name(record.name);
      job.set_owner(record.spec.owner);
      job.set_kind(record.spec.kind);
      job.mutable_start_time()->set_seconds(absl::ToUnixSeconds(record.running_since));
    }
    for (const models::ResidentBytes& resident : registry_.Resident()) {
      v1::LoadedModel& model = *status.add_loaded_models();
      model.set_model(resident.model);
      model.set_device(resident.device);
      model.set_bytes(static_cast<double>(resident.bytes));
    }
    v1::DiskSpace& cache = *status.add_disks();
    cache.set_name(kModelCache);
    if (const auto free = hub_->FreeBytes()) cache.set_free_bytes(static_cast<double>(*free));
    return status;
  }

  metrics::Sample HowThingsStand() const {
    const jobs::Scheduler::Waiting waiting = scheduler_->waiting();
    const jobs::JobStore::Kept kept = store_->kept();
    metrics::Sample sample{
        .waiting_jobs = waiting.jobs,
        .oldest_wait = waiting.jobs > 0 ? absl::Now() - waiting.oldest : absl::ZeroDuration(),
        .kept_jobs = kept.jobs,
        .kept_bytes = kept.bytes,
        .volumes = {{.name = kModelCache, .free_bytes = hub_->FreeBytes()}}};
    for (const std::string& device : environment_.devices) {
      sample.memory.push_back({.device = device,
                               .used = engine::DeviceMemoryInUse(device),
                               .total = engine::DeviceMemoryBytes(device)});
    }
    for (const models::ResidentBytes& resident : registry_.Resident())
      sample.models.push_back({.model = resident.model, .device = resident.device, .bytes = resident.bytes});
    return sample;
  }

  const absl::Time started_ = absl::Now();
  const std::unique_ptr<service::ServerState> state_;
  const std::unique_ptr<metrics::Metrics> metrics_;
  service::RunEvents events_;
  const std::unique_ptr<hub::Hub> hub_;
  models::ModelRegistry registry_;
  runs::RunEnvironment environment_;
  std::unique_ptr<jobs::JobStore> store_;
  service::BlockingPool pool_, slow_pool_;
  service::LoadThreads load_threads_;
  service::ServiceContext context_;
  std::unique_ptr<jobs::Scheduler> scheduler_;
  std::unique_ptr<service::GrpcServer> grpc_;
  std::unique_ptr<metrics::Endpoint> endpoint_;
};

v1::ServerInfo InfoOf(const Settings& settings, const std::vector<std::string>& devices,
                      const std::string& id) {
  v1::ServerInfo info;
  info.set_id(id);
  info.set_version(kVersion);
  info.set_contract(kContract);
  info.set_libtorch(engine::LibTorchVersion());
  for (const std::string& name : devices) {
    v1::Device& device = *info.add_devices();
    device.set_name(name);
    device.set_description(engine::DeviceDescription(name));
    device.set_threads(name == "cpu" ? ThreadsOf(settings) : 0);
  }
  v1::Limits& limits = *info.mutable_limits();
  limits.set_max_prompts(static_cast<uint32_t>(settings.Integer("limits.max_prompts")));
  limits.set_max_request_bytes(static_cast<uint32_t>(settings.Integer("limits.max_request_mb") << 20));
  limits.set_max_queued(static_cast<uint32_t>(settings.Integer("limits.max_queued")));
  limits.set_max_queued_per_owner(static_cast<uint32_t>(settings.Integer("limits.max_queued_per_owner")));
  for (const std::string& dtype : settings.Texts("dtypes")) limits.add_dtypes(dtype);
  *info.mutable_defaults() = service::DefaultsOf(settings);
  return info;
}

// Whether a terminal controls this process: its hangup is a SIGHUP, too.
bool HasTerminal() {
  const int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

// Blocks until SIGINT or SIGTERM, until the terminal hangs up, or until the other end of a private socket is
// gone; every other SIGHUP calls `on_reload`. True: somebody may still be connected.
bool WaitForTheEnd(int signals, int private_socket, const std::function<void()>& on_reload) {
  const bool had_terminal = HasTerminal();
  while (true) {
    std::array<pollfd, 2> fds = {{{.fd = signals, .events = POLLIN, .revents = 0},
                                  {.fd = private_socket, .events = POLLRDHUP, .revents = 0}}};
    while (poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
    if (fds[1].revents != 0) return false;
    signalfd_siginfo signal = {};
    if (read(signals, &signal, sizeof(signal)) != sizeof(signal)) continue;
    if (signal.ssi_signo != SIGHUP || (had_terminal && !HasTerminal())) return true;
    on_reload();
  }
}

// What a spec that asks for nothing gets; an error where the server's own defaults break its limits.
absl::StatusOr<v1::ProfileSpec> DefaultProfile(const Settings& settings,
                                               const std::vector<std::string>& devices) {
  v1::JobSpec spec;
  spec.mutable_profile()->set_model("any");
  const absl::Status status = service::Resolve(settings, LimitsOf(settings, devices), &spec);
  if (!status.ok()) return Annotate(status, "the settings' defaults are outside the settings' limits");
  return spec.profile();
}

// What is wrong with a model that is to be loaded at the start; nothing where it has yet to be downloaded.
absl::Status CheckPreload(models::ModelRegistry& registry, const std::string& name) {
  INDUCT_RETURN_IF_ERROR(Annotate(registry.CheckExists(name), "the setting models"));
  const absl::Status status = registry.Describe(name).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// Everything that can be told without serving and without downloading.
absl::Status Check(const Settings& settings, const std::vector<std::string>& devices,
                   const hub::HubOptions& hub_options) {
  INDUCT_ASSIGN_OR_RETURN(const std::unique_ptr<hub::Hub> hub, hub::Hub::Create(hub_options));
  models::ModelRegistry registry(RegistryOptionsOf(settings, devices, *hub, metrics::NoRecorder()));
  for (const std::string& problem : registry.DirectoryProblems())
    return absl::FailedPreconditionError(problem);
  for (const std::string& name : settings.Texts("models"))
    INDUCT_RETURN_IF_ERROR(CheckPreload(registry, name));
  const auto listings = registry.List();
  for (const models::ModelListing& listing : listings) {
    // The hub's cache may hold models that other programs use.
    if (!listing.problem.empty() && listing.revision.empty())
      return absl::FailedPreconditionError(listing.problem);
  }
  std::printf("settings are good; %zu models in %s and the hub's cache %s\n", listings.size(),
              absl::StrJoin(settings.Texts("model_dirs"), ", ").c_str(), hub->options().cache_dir.c_str());
  for (const auto& [device, bytes] : BudgetsOf(settings, devices))
    std::printf("models may take %.2f GB of %s\n", static_cast<double>(bytes) / 1e9, device.c_str());
  return absl::OkStatus();
}

absl::Status Serve(const Settings& settings, const v1::ProfileSpec& defaults,
                   std::vector<std::string> devices, hub::HubOptions hub_options,
                   const std::string& metrics_address, int signals, const std::function<void()>& on_reload) {
  const int fd = service::ListenFd(settings.Text("listen"));
  const int private_socket = fd >= 0 ? dup(fd) : -1;  // a copy: gRPC closes its own when the client goes
  std::unique_ptr<metrics::Metrics> metrics = metrics::Metrics::Create(MetricsOptionsOf(settings, devices));
  hub_options.recorder = metrics.get();
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<hub::Hub> hub, hub::Hub::Create(std::move(hub_options)));
  const std::string state_dir = private_socket >= 0 ? "" : settings.Text("state_dir");
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<service::ServerState> state, service::ServerState::Open(state_dir));
  Server server(settings, std::move(devices), std::move(state), std::move(metrics), std::move(hub));
  if (!metrics_address.empty()) INDUCT_RETURN_IF_ERROR(server.ListenForMetrics(metrics_address));
  INDUCT_RETURN_IF_ERROR(server.Listen(settings.Text("listen")));
  std::jthread preload([&](std::stop_token stop) { server.Preload(defaults, stop); });

  const bool connected = WaitForTheEnd(signals, private_socket, on_reload);
  Log(LogLevel::kInfo, "server", "draining");
  preload.request_stop();  // a job may be waiting for a model that it loads
  if (!server.Drain(absl::Seconds(connected ? settings.Real("drain_seconds") : 0.0))) {
    Log(LogLevel::kError, "server", "some work did not end in time: leaving it");
    std::_Exit(0);
  }
  Log(LogLevel::kInfo, "server", "ended");
  return absl::OkStatus();
}

absl::Status CheckOrServe(const Arguments& arguments, const Settings& settings, int signals) {
  engine::SetThreads(ThreadsOf(settings));
  INDUCT_ASSIGN_OR_RETURN(std::vector<std::string> devices, ResolveDevices(settings));
  INDUCT_ASSIGN_OR_RETURN(const v1::ProfileSpec defaults, DefaultProfile(settings, devices));
  INDUCT_ASSIGN_OR_RETURN(const std::string metrics_address, MetricsAddressOf(settings));
  const hub::HubOptions hub_options = HubOptionsOf(settings);
  if (arguments.check) return Check(settings, devices, hub_options);
  return Serve(settings, defaults, std::move(devices), hub_options, metrics_address, signals,
               [&] { ReloadLogLevel(arguments); });
}

absl::Status RunCacheCommand(const Arguments& arguments) {
  INDUCT_ASSIGN_OR_RETURN(const Settings settings, ReadSettings(arguments));
  INDUCT_ASSIGN_OR_RETURN(const std::unique_ptr<hub::Hub> hub, hub::Hub::Create(HubOptionsOf(settings)));
  if (arguments.cache_list) {
    ListCache(*hub);
    return absl::OkStatus();
  }
  const std::optional<uint64_t> limit = hub->options().max_fetched_bytes;
  if (!arguments.keep_mb && !limit) {
    return absl::InvalidArgumentError(
        "limits.hub_cache_mb is off, so nothing says how much may stay: set it, or give --keep_mb (0 removes "
        "all that servers fetched and nobody uses)");
  }
  return PruneCache(*hub, arguments.keep_mb ? *arguments.keep_mb << 20 : *limit, arguments.dry_run);
}

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "induct-server: %s\n", std::string(status.message()).c_str());
  return kFailure;
}

int Run(const Arguments& arguments, int signals) {
  const absl::StatusOr<Settings> settings = ReadSettings(arguments);
  if (!settings.ok()) return Complain(settings.status());
  InitLogging(LogLevelOf(*settings), LogFormatOf(*settings));
  const absl::Status status = CheckOrServe(arguments, *settings, signals);
  if (status.ok()) return 0;
  if (arguments.check || LogFormatOf(*settings) == LogFormat::kText) return Complain(status);
  // Whoever reads lines of JSON gets nothing else.
  Log(LogLevel::kError, "server", std::string(status.message()));
  return kFailure;
}

// Signals are read from a descriptor by the main thread; every thread made later inherits the mask.
int BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC);
}

void AddCacheCommands(CLI::App& app, Arguments& arguments) {
  CLI::App* cache = app.add_subcommand("cache", "Shows or prunes the hub's cache, beside servers that run");
  cache->fallthrough()->callback([cache] {
    if (cache->get_subcommands().empty()) throw CLI::RequiredError("cache: list or prune");
  });
  cache->excludes(app.get_option("--listen"))->excludes(app.get_option("--check"));
  cache->add_subcommand("list", "What takes room there, and what of it servers fetched")
      ->fallthrough()
      ->callback([&] { arguments.cache_list = true; });
  CLI::App* prune = cache->add_subcommand(
      "prune", "Removes what servers fetched and nobody uses, the least recently used first");
  prune->fallthrough()->callback([&] { arguments.cache_prune = true; });
  prune->add_flag("--dry_run", arguments.dry_run, "Only say what would be removed");
  prune->add_option("--keep_mb", arguments.keep_mb, "Megabytes that may stay, instead of limits.hub_cache_mb")
      ->check(CLI::Range(uint64_t{0}, kMaxKeepMegabytes));
}

int Main(int argc, char** argv) {
  CLI::App app{"Serves induction-head analyses of language models over gRPC."};
  Arguments arguments;
  app.add_option("--settings", arguments.settings_file,
                 "settings.yaml to read; without it every setting has its default");
  app.add_option("--listen", arguments.listen,
                 "host:port, unix:/path or fd:N, instead of the settings' listen");
  app.add_flag("--check", arguments.check,
               "Check settings, device and models, print what is wrong, and exit");
  app.set_version_flag("--version",
                       absl::StrCat("induct-server ", kVersion, ", LibTorch ", engine::LibTorchVersion()));
  AddCacheCommands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : kUsage;
  }
  if (arguments.cache_list || arguments.cache_prune) {
    const absl::Status status = RunCacheCommand(arguments);
    return status.ok() ? 0 : Complain(status);
  }
  setenv("GRPC_VERBOSITY", "NONE", 0);  // gRPC's own lines say the same in another form
  return Run(arguments, BlockSignals());
}

}  // namespace
}  // namespace induct

int main(int argc, char** argv) { return induct::Main(argc, argv); }
