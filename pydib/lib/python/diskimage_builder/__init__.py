"""The names of diskimage-builder that Python scripts of elements import, on top of pydib (contract C-043).

This folder's parent is on the PYTHONPATH of scripts on the host, and of those only. What is not here comes from an
installed diskimage-builder, if there is one.
"""

import sys
from pathlib import Path
from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

try:
    import pydib  # noqa: F401
except ImportError:  # a script's own Python: pydib lies where this was found
    sys.path.append(str(Path(__file__).resolve().parents[4]))
