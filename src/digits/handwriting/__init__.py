"""From a person's picture to the 28x28 that a network trained on MNIST expects; no torch."""
