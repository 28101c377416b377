"""What is served, a concept a file. `ROUTES` is all of it; the router and `/openapi.json` are built from it."""

from __future__ import annotations

from api.route import Route
from api.routes import (
    avatars,
    catalog,
    conversation,
    events,
    health,
    metrics,
    microphone,
    page,
    preview,
    seen,
    sessions,
    switching,
    voice,
    webrtc,
)

ROUTES: tuple[Route, ...] = (
    *sessions.ROUTES,
    *switching.ROUTES,
    *voice.ROUTES,
    *conversation.ROUTES,
    *microphone.ROUTES,
    *webrtc.ROUTES,
    *events.ROUTES,
    *seen.ROUTES,
    *catalog.ROUTES,
    *avatars.ROUTES,
    *preview.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *page.ROUTES,
)
