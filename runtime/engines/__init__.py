"""The fast machine: draws, converters and digital ends compiled to loops, products by onnxruntime, on all cores."""
