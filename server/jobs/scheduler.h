// server/jobs runs opaque work: queue, scheduling, cancellation, events, artifacts, the job store.
// Must not know: what an analysis is, a tensor's shape, gRPC, protobuf.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job.h"
#include "server/jobs/job_store.h"
#include "server/metrics/recorder.h"

namespace induct::jobs {

// What work may do while it prepares or runs. Safe for concurrent use; alive as long as the call it was
// handed to.
class JobContext {
 public:
  virtual ~JobContext() = default;

  virtual const std::string& job_name() const = 0;
  virtual uint32_t attempt() const = 0;
  // The device that this job was given, an index into SchedulerOptions::n_devices.
  virtual int device() const = 0;
  // Requested when the job is cancelled, past a deadline, or the server stops.
  virtual std::stop_token stop() const = 0;
  // Times so far, for the result.
  virtual JobRecord record() const = 0;

  // Stores a durable event with this opaque payload. An error (the store failed, the job has ended) should
  // end the work.
  virtual absl::Status Emit(std::string payload) = 0;
  // Shows a passing event to whoever watches now; a newer one of the same `slot` replaces one not read yet.
  virtual void Show(int slot, std::string payload) = 0;
  // Stores an artifact and its event. The SHA-256 is computed here.
  virtual absl::Status PutArtifact(const std::string& name, const std::string& media_type,
                                   std::string bytes) = 0;
};

// One job's work. Made by the factory, used for one attempt, destroyed before the job's last event is stored:
// who sees that a job has ended finds what it held (its models, the device) free. Destroyed on the thread
// that used it last; prepared work that never runs, on the thread that ends the job.
class Work {
 public:
  virtual ~Work() = default;

  // Resolves, reads, checks; on a preparing thread, several jobs at once; must not compute on the device.
  virtual absl::Status Prepare(JobContext& context) = 0;

  // Uses the device; on its executor thread, alone. The returned bytes are the kFinished event's payload.
  // Work that succeeds before it notices its stop token has succeeded: the result is kept.
  virtual absl::StatusOr<std::string> Run(JobContext& context) = 0;
};

// Turns a stored request into work; called on a preparing thread. Errors fail the job.
using WorkFactory = std::function<absl::StatusOr<std::unique_ptr<Work>>(const JobRecord& record)>;

struct SchedulerOptions {
  int n_devices = 1;  // one executor thread each
  int preparing_threads = 2;
  int ready_per_device = 1;  // prepared jobs that may wait for a device: they hold models
  size_t max_queued = 256;   // jobs not yet running, all owners together
  size_t max_queued_per_owner = 128;
  size_t max_queued_bytes = size_t{4} << 30;  // of the requests of all jobs that have not ended
  absl::Duration disconnect_grace = absl::Seconds(60);
  absl::Duration stop_grace = absl::Seconds(5);         // what Drain gives work to heed its stop token
  metrics::Recorder* recorder = metrics::NoRecorder();  // must outlive the scheduler
};

// A passing event: a payload in a slot chosen by the work (slots >= 0), or the queue position (kQueuedSlot,
// no payload).
inline constexpr int kQueuedSlot = -1;
struct PassingEvent {
  int slot = 0;
  std::string payload;
  uint32_t queue_position = 0;  // kQueuedSlot: jobs that will be started before this one
};

// One open event stream of one job. The destructor closes it (and may start the disconnect grace).
// One thread at a time may call it, but `wake` comes from any thread.
class Watch {
 public:
  virtual ~Watch() = default;

  // The next durable events, at most about max_bytes of them; empty when there are none yet or when the last
  // one of the job has been read. Blocks on the store. Where no event can follow and this watch read no last
  // one: OUT_OF_RANGE (it began after it), UNAVAILABLE (DRAINING: the job goes on when the server is back;
  // watch again then), INTERNAL (the store failed).
  virtual absl::StatusOr<std::vector<StoredEvent>> ReadPage(size_t max_bytes) = 0;
  // Passing events since the last call, the newest of each slot. Never blocks on the store.
  virtual std::vector<PassingEvent> TakePassing() = 0;
};

// Owns queue and threads. Once work heeds no stop token, the destructor waits for it: exit the process where
// Drain says false. Watches may outlive the scheduler, but not the store. All methods are safe for concurrent
// use; those marked (store) may block on the job store.
class Scheduler {
 public:
  // Takes over the jobs that live in the store (a server crashed or stopped under them): each goes back to
  // the queue with `attempt` one higher. `store` must outlive the scheduler.
  static std::unique_ptr<Scheduler> Create(const SchedulerOptions& options, JobStore* store,
                                           WorkFactory factory);
  // As Drain(now).
  virtual ~Scheduler() = default;

  // Accepts a job (store). The same owner and request id with the same request_sha256 returns the job
  // there is; with another ALREADY_EXISTS (REQUEST_ID_REUSED). RESOURCE_EXHAUSTED (QUEUE_FULL, QUOTA_USED);
  // UNAVAILABLE (DRAINING) once draining.
  virtual absl::StatusOr<JobRecord> Submit(JobSpec spec) = 0;

  // Opens a stream of the job's events after `after_sequence` (store). `wake` is called when there may be
  // something new to read: at once, then from any thread, never after the watch is destroyed. A lock that the
  // watch's calls take is held meanwhile: it must not block, call back, or take a lock that is held while the
  // watch is called. While a watch by the job's owner is open the disconnect grace does not run; `watcher` is
  // who watches. NOT_FOUND; OUT_OF_RANGE for an after_sequence beyond the log.
  virtual absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(const std::string& job, const std::string& watcher,
                                                           uint64_t after_sequence,
                                                           std::function<void()> wake) = 0;

  // Asks the job to end (store); honoured within one micro-batch of its work. A job that has ended already
  // stays as it is. Returns the record as it is after the request. NOT_FOUND.
  virtual absl::StatusOr<JobRecord> Cancel(const std::string& job) = 0;

  // Jobs that would start before this one, prepared ones included; nullopt where it is not queued.
  virtual std::optional<uint32_t> QueuePosition(const std::string& job) const = 0;

  struct Counts {
    size_t queued = 0, preparing = 0, ready = 0, running = 0;
  };
  virtual Counts counts() const = 0;

  // Jobs that are accepted and not running yet: those that max_queued limits.
  struct Waiting {
    size_t jobs = 0;
    absl::Time oldest = absl::InfiniteFuture();  // when the first of them was accepted
  };
  virtual Waiting waiting() const = 0;

  // Whether Drain was called.
  virtual bool draining() const = 0;

  // Takes no new jobs; lets running ones go on until `deadline`, then stops them: what had not ended fails
  // with UNAVAILABLE (DRAINING), or goes back to kQueued where the store is durable. Queued jobs do so at
  // once. Returns when no work runs any more or, at the latest, shortly after the deadline (false: some work
  // did not heed its stop token).
  virtual bool Drain(absl::Time deadline) = 0;
};

// A ULID: 48 bits of milliseconds, 80 random bits, Crockford's base 32: 26 characters that sort by time.
std::string NewUlid(absl::Time now);
// A new name: "jobs/" and a ULID.
std::string NewJobName(absl::Time now);

}  // namespace induct::jobs
