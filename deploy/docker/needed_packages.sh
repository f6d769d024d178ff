#!/usr/bin/env bash
# Prints the Debian packages that hold the shared libraries of programs, one a line: what an image in which they only run has to install.
# Libraries that no package holds, as LibTorch's, are left out; one that cannot be found at all is an error.
#
#   deploy/docker/needed_packages.sh PROGRAM...
set -euo pipefail

libraries=$(ldd "$@")
if missing=$(grep 'not found' <<<"$libraries"); then
  echo "needed_packages: libraries that are not there:" >&2
  echo "$missing" >&2
  exit 1
fi
# By their names: dpkg may know /lib/... of what the loader finds as /usr/lib/....
sed -n 's,.* => /\(usr/\)\?lib/.*/\([^/ ]*\) (.*,*/\2,p' <<<"$libraries" | sort -u | xargs dpkg-query --search | sed 's/:.*//' | sort -u
