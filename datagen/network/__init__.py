"""The wide residual network, and the classifier that runs it."""
