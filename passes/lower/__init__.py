"""Lowering: the rules that turn ONNX operators into analog layers, one kind a file."""
