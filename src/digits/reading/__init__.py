"""Read digits with a model.onnx; nothing here imports torch."""
