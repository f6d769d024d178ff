# shellcheck shell=bash
# Sourced by scripts that work in steps: says which step of how many runs, how long it took, and how to repeat one that failed.
# All of it goes to stderr; stdout is the commands' own.
#
#   start_steps 2
#   step "what it is" "the command that shows everything of it" COMMAND...

# help_if_asked ARGUMENT...: with -h or --help first, ends the script with the comment at its head.
help_if_asked() {
  case "${1:-}" in
    -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[1]}"; exit ;;
  esac
}

step_count=0
step_number=0
step_repeat=
step_start=0

start_steps() { step_count=$1; step_number=0; }

# begin_step WHAT REPEAT
begin_step() {
  step_number=$((step_number + 1))
  step_repeat=$2
  step_start=$SECONDS
  echo "step $step_number of $step_count: $1" >&2
}

end_step() { echo "step $step_number of $step_count: done in $((SECONDS - step_start)) s" >&2; }

# COMMAND || fail_step: ends the script with the status of the command.
fail_step() {
  local status=$?
  echo "step $step_number of $step_count failed after $((SECONDS - step_start)) s. This repeats it with everything shown:" >&2
  echo "  $step_repeat" >&2
  exit "$status"
}

# step WHAT REPEAT COMMAND...
step() {
  begin_step "$1" "$2"
  shift 2
  "$@" || fail_step
  end_step
}

# configure PRESET [OPTION...]: what CMake finds is of interest only where it fails, and its errors are on stderr.
configure() { cmake --preset "$@" >/dev/null; }

# build PRESET [OPTION...]: one line that rewrites itself on a terminal; elsewhere only warnings and errors.
build() {
  if [ -t 1 ]; then
    NINJA_STATUS='[%f of %t, %e s] ' cmake --build --preset "$@"
  else
    NINJA_STATUS='[%f/%t] ' cmake --build --preset "$@" | sed -u -e '/^\[[0-9]*\/[0-9]*\] /d' -e '/^ninja: no work to do\.$/d'
  fi
}
