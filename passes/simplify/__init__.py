"""Simplification of the ONNX graph, one pass a file."""
