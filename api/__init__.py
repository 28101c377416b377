"""The HTTP API and the page: `python -m api`. It validates, places sessions and passes commands on; no media here."""
