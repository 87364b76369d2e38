"""mho.passes.simplify: the passes that make a `Model` smaller and plainer before it is lowered, one a file."""
