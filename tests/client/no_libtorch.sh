#!/bin/sh
# The client must run where LibTorch is not installed: no library of it may be linked. Usage: no_libtorch.sh PROGRAM
libraries=$(ldd "$1") || exit 1
# Names of libraries only: the load addresses that ldd prints may hold "c10" by chance.
if echo "$libraries" | grep -E 'lib(torch|c10)|not found'; then
  echo "$1 links these libraries" >&2
  exit 1
fi
