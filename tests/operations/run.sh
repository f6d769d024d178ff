#!/usr/bin/env bash
# Operations as they will be: builds the images with the project's Dockerfile, starts docker-compose.yml with Debian's Docker engine, runs jobs, kills,
# breaks, drains, takes all down. Needs root, debootstrap, Debian's and PyPI's packages, 15 GB of disk; about 20 minutes on two cores.
#
#   tests/operations/run.sh            everything
#   tests/operations/run.sh --again    without building: with the images of a run before that was told to --keep them
#   tests/operations/run.sh --keep     leaves root and images in the user's cache
#
# Nothing is installed on the machine: the engine lives in a Debian root, in mount, process and host-name namespaces of its own and, but for building,
# which downloads packages, in a network of its own. No image comes from a registry: that root, before anything is installed in it, is the
# base, and what else is missing is told at the end.
set -euo pipefail
source "$(dirname "$0")/../../deploy/steps.sh"
help_if_asked "$@"
cd "$(dirname "$0")/../.."

keep=false
again=false
for argument in "$@"; do
  case "$argument" in
    --again) again=true ;;
    --keep) keep=true ;;
    *) echo "usage: tests/operations/run.sh [--again] [--keep]" >&2; exit 2 ;;
  esac
done

die() { echo "operations: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || die "namespaces and mounts need root"
command -v debootstrap >/dev/null || die "there is no debootstrap: apt-get install debootstrap"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/induct
compose=$cache/container-tools-1/bin/docker-compose
[ -x "$compose" ] || die "there is no Compose: deploy/install.sh --tests gets it"

folder=$cache/operations
root=$folder/root
work=$folder/work
cgroup=induct-operations
base=$(sed -n 's/^ARG BASE=//p' deploy/docker/Dockerfile)
export DOCKER_HOST=unix://$root/srv/docker.sock
export COMPOSE_FILE=docker-compose.yml:tests/operations/compose.override.yml COMPOSE_PROJECT_NAME=induct-operations
export GRAFANA_ADMIN_PASSWORD=unused BASE=$base
engine=

docker() { "$root/usr/bin/docker" "$@"; }

# start_engine UNSHARE_OPTIONS DOCKERD_OPTIONS, each a word or several.
start_engine() {
  mkdir -p "$work"
  # shellcheck disable=SC2086  # words
  unshare --mount --pid --uts $1 --fork --kill-child --propagation private tests/operations/box.sh "$root" "$PWD" "$work" -- --cgroup-parent "/$cgroup" $2 &
  engine=$!
  local i
  for ((i = 0; i < 300; i++)); do
    if docker info >/dev/null 2>&1; then return; fi
    [ -d "/proc/$engine" ] || break
    sleep 0.2
  done
  tail -20 "$root/srv/docker.log" >&2
  return 1
}

stop_engine() {
  [ -n "$engine" ] || return 0
  kill -TERM "$(pgrep --parent "$engine")" || true
  wait "$engine" || true
  engine=
}

clean_up() {
  stop_engine
  find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir '{}' ';'
  [ "$keep" = true ] || rm -rf "$folder"
}
trap clean_up EXIT

# quietly LOG COMMAND...
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { tail -50 "$log" >&2; return 1; }
}

# Steps say with && what depends on what: a function whose status is looked at does not end where a command fails.

# The base of all images, as a registry would have it: slim, so without manuals, documents and translations, its own and those of packages to
# come. But it trusts whom this machine trusts, as packages may come by a proxy that has a certificate of its own.
make_base() {
  rm -rf "$folder" && mkdir -p "$folder" &&
    quietly "$folder/debootstrap.log" debootstrap --variant=minbase bookworm "$root" &&
    printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$root/etc/dpkg/dpkg.cfg.d/slim" &&
    rm -rf "$root"/usr/share/{doc,info,locale,man}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb &&
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/usr/local/share/ca-certificates/machine.crt" &&
    tar -C "$root" -cf "$folder/base.tar" .
}

install_engine() {
  quietly "$folder/install.log" chroot "$root" sh -c \
    'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends docker.io iptables iproute2 ca-certificates'
}

# Without a bridge, a rule or a forwarding of its own the engine changes nothing of the machine's network, which downloads need.
build_images() {
  start_engine "" "--bridge=none --iptables=false --ip-forward=false" &&
    docker import --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' "$folder/base.tar" "$base" >/dev/null &&
    rm "$folder/base.tar" &&
    quietly "$folder/build.log" "$compose" --profile client --progress plain build &&
    stop_engine
}

# Grafana's components, which draw a board where no Grafana can.
fetch_renderer() { python3 -c 'import sys; sys.path.insert(0, "tests/boards"); import draw_boards; draw_boards.bundle()'; }

try_stack() {
  start_engine --net "" || return
  local inside
  inside=$(pgrep --parent "$engine")
  ENGINE_PID=$inside COMPOSE=$compose DOCKER=$root/usr/bin/docker WORK=$work nsenter --net --target "$inside" python3 tests/operations/stack.py && stop_engine
}

nothing_is_left() {
  if grep "$root" /proc/mounts; then echo "mounts are left" >&2; return 1; fi
  # Of containers, which are named by 64 digits: the engine has others of its own.
  if find /sys/fs/cgroup -regextype posix-extended -type d -regex ".*/$cgroup/.*[0-9a-f]{64}" | grep .; then echo "control groups are left" >&2; return 1; fi
  if pgrep --list-full --full "$root/"; then echo "processes are left" >&2; return 1; fi
}

what_is_missing() {
  cat >&2 <<'TEXT'
not checked, as it cannot be had here:
  Grafana's server: the boards' queries were asked of Prometheus, its provisioning was read by nobody
  GPUs: what runs on them, dcgm-exporter, the image with CUDA
  the images of Prometheus and Alertmanager: Debian's programs, of other versions, stood in for them, with the same arguments and files
TEXT
}

if [ "$again" = true ]; then
  [ -d "$root/var/lib/docker" ] || die "--again needs the images of a run with --keep; there are none in $folder"
  keep=true
  start_steps 2
else
  start_steps 6
  step "a Debian root" "debootstrap --variant=minbase bookworm FOLDER" make_base
  step "Debian's Docker engine, in it" "apt-get install docker.io, in the root" install_engine
  step "build the images of server and client" "less $folder/build.log, after --keep" build_images
  step "what draws the boards" "tests/boards/draw_boards.py" fetch_renderer
fi
begin_step "the stack" "tests/operations/run.sh --again, after --keep"
try_stack || fail_step
end_step
step "nothing is left" "mount, pgrep, find /sys/fs/cgroup" nothing_is_left
what_is_missing
