#!/bin/sh
# Builds thumbnails.zip: the handler and Pillow for the Python that will run it.
#
#   build.sh [OUT_FOLDER]     PYTHON=python3.11 chooses the runtime; default python3
#
# The package is made for this machine's architecture, from wheels only: nothing is compiled.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/build"}
python=${PYTHON:-python3}

rm -rf "$out/package"
mkdir -p "$out/package"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: \
    --target "$out/package" 'pillow>=10,<13'
cp "$here/handler.py" "$out/package/"
# The standard library's zip: this needs no other tool than the Python that is there anyway.
"$python" - "$out/package" "$out/thumbnails" <<'PACK'
import shutil, sys
print(shutil.make_archive(sys.argv[2], "zip", sys.argv[1]))
PACK
