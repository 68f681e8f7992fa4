"""Images to train and test on: CIFAR-10, digits or your own arrays."""
