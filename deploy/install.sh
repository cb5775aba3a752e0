#!/bin/sh
# Installs the project into a virtual environment from the pinned constraints.
#
#   PYTHON=python3.12 sh deploy/install.sh .venv ".[dev]"
#
# A torch that is there already (a ROCm or CUDA build, in the environment or in the Python it is made
# from) is respected: the environment sees it, and the pin of torch is left out.
set -eu
venv=$1
what=$2
python=${PYTHON:-python3}

"$python" - <<'PY' || exit 2
import sys
if sys.version_info < (3, 11):
    sys.exit("error: Python %d.%d is too old; needs 3.11 or newer: make PYTHON=python3.12 search" % sys.version_info[:2])
PY

has_torch() { "$1" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; }

if [ ! -x "$venv/bin/python" ]; then
    if has_torch "$python"; then
        echo "using the torch of $("$python" -c 'import sys; print(sys.prefix)')"
        "$python" -m venv --system-site-packages "$venv"
    else
        "$python" -m venv "$venv"
    fi
fi

pins=$venv/constraints.txt
if has_torch "$venv/bin/python"; then
    grep -v '^torch==' constraints.txt >"$pins"
else
    cp constraints.txt "$pins"
fi

echo "installing into $venv (once; about a minute)"
"$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-compile \
    --constraint "$pins" --editable "$what"
# On all cores, which pip does not, and without other people's tests; a template is no error.
"$venv/bin/python" -m compileall -qq -j 0 -x 'site-packages/.*/tests/' "$venv/lib" >/dev/null 2>&1 || :
touch "$venv/.installed"
case $what in *dev*) touch "$venv/.installed-dev" ;; esac
