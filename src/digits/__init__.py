"""Train networks on MNIST (torch, Lightning) and read handwritten digits with them (NumPy, ONNX Runtime)."""
