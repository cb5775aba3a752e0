"""python -m search.grafana FOLDER: puts our dashboard beside those of a Ray that runs already."""

import sys

from search.backend.grafana import main
from trainable.cli.commands import process_status

if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
