"""The `opentalking` command: starts, watches and stops the processes of one node, and says what is wrong with it.

It never imports `api` or `workers`: they are programs that supervisord starts.
"""
