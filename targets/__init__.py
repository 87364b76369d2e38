"""mho.targets: machines as data, the instruction set, the program file and what running it costs."""
