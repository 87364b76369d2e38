"""mho.passes: the levels between an ONNX graph and a program, and the passes that rewrite them, one a file."""
