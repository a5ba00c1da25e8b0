"""The networks, each a plain `nn.Module` from images to ten outputs, built from its own few settings."""
