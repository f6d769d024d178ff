#include "client/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "absl/time/clock.h"
#include "client/exit_code.h"

namespace induct::client {
namespace {

constexpr absl::Duration kUnwindTime = absl::Seconds(3);  // for ending in good order after Abandon

sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

int OpenSignalFd() {
  const sigset_t signals = Signals();
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace

void Interrupt::BlockSignals() {
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Interrupt::Interrupt(absl::Duration patience)
    : patience_(patience),
      signal_fd_(OpenSignalFd()),
      stop_fd_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Listen(); }) {}

Interrupt::~Interrupt() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  close(signal_fd_);
  close(stop_fd_);
}

void Interrupt::Listen() {
  absl::Time deadline = absl::InfiniteFuture();
  while (true) {
    pollfd fds[] = {{.fd = signal_fd_, .events = POLLIN}, {.fd = stop_fd_, .events = POLLIN}};
    const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
    const int timeout =
        deadline == absl::InfiniteFuture() ? -1 : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    const int ready = poll(fds, 2, timeout);
    if (fds[1].revents != 0) return;
    if (ready == 0) {
      Abandon();
      deadline = absl::Now() + kUnwindTime;
    } else if (fds[0].revents != 0) {
      signalfd_siginfo info;
      if (read(signal_fd_, &info, sizeof(info)) != sizeof(info)) continue;
      const bool first = !requested_;
      HandleSignal();
      deadline = absl::Now() + (first ? patience_ : kUnwindTime);
    }
  }
}

void Interrupt::HandleSignal() {
  if (requested_) return Abandon();
  requested_ = true;
  const absl::MutexLock lock(&mutex_);
  if (actions_ == nullptr) _exit(static_cast<int>(ExitCode::kInterrupted));
  cancel_thread_ = std::thread(actions_->cancel);
}

void Interrupt::Abandon() {
  const absl::MutexLock lock(&mutex_);
  if (std::exchange(abandoned_, true) || actions_ == nullptr) _exit(static_cast<int>(ExitCode::kInterrupted));
  actions_->abandon();
}

Interrupt::Scope::Scope(Interrupt* interrupt, InterruptActions actions) : interrupt_(interrupt) {
  interrupt_->scope_actions_ = std::move(actions);
  const absl::MutexLock lock(&interrupt_->mutex_);
  interrupt_->actions_ = &interrupt_->scope_actions_;
}

Interrupt::Scope::~Scope() {
  std::thread cancel;
  {
    const absl::MutexLock lock(&interrupt_->mutex_);
    interrupt_->actions_ = nullptr;
    cancel = std::move(interrupt_->cancel_thread_);
  }
  if (cancel.joinable()) cancel.join();
}

}  // namespace induct::client
