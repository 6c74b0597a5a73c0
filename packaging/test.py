"""Set the studio up with its test tools if need be, then test it: `python packaging/test.py`.

Arguments go to pytest, which runs in the clone; without any, the whole suite runs.
"""

import sys

import needs_python

if __name__ == "__main__":
    needs_python.check()
    import handover

    sys.exit(handover.test(sys.argv[1:]))
