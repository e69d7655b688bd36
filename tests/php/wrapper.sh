#!/bin/sh
# Runs its arguments without exec: the worker is a child of the process that was launched.
"$@"
exit $?
