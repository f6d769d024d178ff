#!/bin/sh
# The client must run where LibTorch is not installed: no library of it may be linked. Usage: no_libtorch.sh PROGRAM
libraries=$(ldd "$1") || exit 1
if echo "$libraries" | grep -iE 'torch|c10|not found'; then
  echo "$1 links these libraries" >&2
  exit 1
fi
