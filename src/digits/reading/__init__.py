"""Read digits with a model.onnx; only export.py, the training side of that door, may import torch."""
