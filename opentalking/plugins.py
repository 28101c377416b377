"""Adapters by name, packaged ones and those a setting adds: `name=module:Class`, comma-separated.

A module is imported when its adapter is asked for, so that a missing one, or a heavy one, costs nothing before.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from opentalking.config import Settings, env_name


class PluginError(ValueError):
    """A setting of plug-ins is written wrongly, or what it names cannot be imported; the message says which."""


def with_plugins(packaged: Mapping[str, str], settings: Settings, field: str) -> dict[str, str]:
    """name -> module:Class, those of the setting `field` after (or in place of) the packaged ones."""
    targets = dict(packaged)
    listed: str = getattr(settings, field)
    for entry in filter(None, (part.strip() for part in listed.split(","))):
        name, _, target = entry.partition("=")
        module, _, attribute = target.partition(":")
        if not (name and module and attribute):
            raise PluginError(f"{env_name(field)}: {entry!r} is not name=module:Class")
        targets[name] = target
    return targets


def load_class(target: str) -> Any:
    """The class that `module:Class` names. Raises PluginError."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{target} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # it is somebody else's code, and must not take the process along
        raise PluginError(f"{target} cannot be imported: {named(error)}") from error


def named(error: BaseException) -> str:
    """What somebody else's code raised, by its type and its words if it has any."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
