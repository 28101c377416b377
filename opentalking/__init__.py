"""The OpenTalking library: one room per stage of the pipeline. No room knows processes, HTTP or shared memory."""

__version__ = "0.1.0"
