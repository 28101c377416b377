"""One module a command. Each has `arguments(parser)` and `run(options) -> exit code`."""
