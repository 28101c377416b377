"""One short module a process: each wires rooms of the library to shared memory and Redis, and shares one life-cycle."""
