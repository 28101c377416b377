"""The ICE servers that browsers are told, from the setting that the rtc workers use too."""

from __future__ import annotations

from api.schemas import IceServer
from opentalking.config import Settings


def ice_servers(settings: Settings) -> list[IceServer]:
    """A TURN server's login is told to everyone who may open the page: a browser needs it. Raises ValueError."""
    if not settings.ice_servers:
        return []
    from opentalking.rtc.ice import parse_ice_servers  # brings the media libraries, 35 MB that nothing else here needs

    servers = parse_ice_servers(settings.ice_servers)
    return [IceServer(str(server.urls), server.username or "", server.credential or "") for server in servers]
