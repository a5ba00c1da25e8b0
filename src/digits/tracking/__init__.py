"""What TensorBoard, the console and the metrics files show of a run."""
