"""The levels: one immutable type each, from the ONNX graph to the plan of a machine."""
