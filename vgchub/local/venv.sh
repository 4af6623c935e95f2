#!/bin/sh
# venv.sh FILE: find Python 3.11 or newer, and let install.py make .venv from the requirements in FILE.
set -eu
for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" -I vgchub/local/install.py "$1"
  fi
done
echo "VGC Hub needs Python 3.11 or newer: install it (Debian: sudo apt install python3 python3-venv; macOS: brew install python), then start again." >&2
exit 1
