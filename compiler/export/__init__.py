"""Export: the analog behaviour of a program as a plain ONNX model, which needs nothing of mho to run.

Every layer becomes converters, products with the programmed weights, noise and sums by standard operators; digital
steps are taken up as they are. `model.exported` writes it, `files` puts it into files.
"""
