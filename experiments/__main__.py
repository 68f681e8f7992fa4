"""The commands of this package."""

from nasbench_ar.packages import describe

if __name__ == "__main__":
    print(describe("experiments"))
