"""The commands of this package."""

import sys

from nasbench_ar.system.packages import describe, listing

if __name__ == "__main__":
    sys.exit(listing(lambda: describe("experiments")))
