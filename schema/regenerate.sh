#!/bin/sh
# Makes trace.cgr, the compiled form of trace.capnp from which build.rs generates code. Needs the `capnp` program
# (Debian: capnproto). Run it after every change of trace.capnp and commit both files.
set -e
cd "$(dirname "$0")"
capnp compile -o- trace.capnp >trace.cgr.new
mv trace.cgr.new trace.cgr
