"""What carries out trainings: workers, how they share a GPU, stop and report."""
