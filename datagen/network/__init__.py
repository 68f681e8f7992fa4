"""The wide residual network, and the classifier that normalises its input."""
