"""One adversarial training, from the data to the finished entry."""
