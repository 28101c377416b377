"""What several kinds of tests and the bench use: a client, a running server, stand-ins for cloud services."""
