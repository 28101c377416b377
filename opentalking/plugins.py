"""Adapters by name, packaged ones and those a setting adds: `name=module:Class`, comma-separated.

A module is imported when its adapter is asked for, so that a missing one, or a heavy one, costs nothing before.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from opentalking.config import Settings, env_name

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


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
    except Exception as error:  # a module of somebody else's may raise anything
        raise PluginError(f"{target} cannot be imported: {error}") from error


class EngineClass(Protocol[A_co]):
    """What a module of engines offers: the class of an adapter, and whether it can work here."""

    def __call__(self, settings: Settings) -> A_co: ...

    def missing(self, settings: Settings) -> str | None: ...


class Engines(Generic[A]):
    """The engines of one kind by name, in order of preference; each can say why it cannot be used here."""

    def __init__(self, kind: str, packaged: Mapping[str, str], field: str, error: type[Exception]) -> None:
        """`kind` is how messages call an engine; `packaged` name -> module:Class; `field` the setting of plug-ins.

        All that goes wrong is raised as `error`."""
        self._kind, self._packaged, self._field, self._error = kind, packaged, field, error

    def names(self, settings: Settings) -> list[str]:
        """Of all engines, whether they can be used here or not."""
        return list(self._targets(settings))

    def create(self, name: str, settings: Settings) -> A:
        """A new adapter, not yet warmed. Raises for an unknown name, or with what is missing."""
        engine = self._class(name, settings)
        if reason := engine.missing(settings):
            raise self._error(f"{name}: {reason}")
        return engine(settings)

    def reasons(self, settings: Settings) -> dict[str, str | None]:
        """Every engine with the reason why it cannot be used here, None when it can."""
        return {name: self._reason(name, settings) for name in self._targets(settings)}

    def pick(self, wanted: str, settings: Settings) -> str:
        """The wanted engine if it can be used, else the first that can. Raises when none can."""
        reasons = self.reasons(settings)
        self._target(wanted, settings)  # a misspelt name is not silently replaced
        for name in (wanted, *reasons):
            if reasons[name] is None:
                return name
        raise self._error("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))

    def _targets(self, settings: Settings) -> dict[str, str]:
        try:
            return with_plugins(self._packaged, settings, self._field)
        except PluginError as error:
            raise self._error(str(error)) from error

    def _reason(self, name: str, settings: Settings) -> str | None:
        try:
            return self._class(name, settings).missing(settings)
        except self._error as error:  # a plug-in that cannot be imported
            return str(error)
        except Exception as error:  # its words may hold a key
            return f"it failed with {type(error).__name__}"

    def _target(self, name: str, settings: Settings) -> str:
        targets = self._targets(settings)
        if name not in targets:
            raise self._error(f"there is no {self._kind} {name!r}; there are {', '.join(targets)}")
        return targets[name]

    def _class(self, name: str, settings: Settings) -> EngineClass[A]:
        target = self._target(name, settings)
        try:
            engine: EngineClass[A] = load_class(target)
        except PluginError as error:
            raise self._error(str(error)) from error
        if not hasattr(engine, "missing"):
            raise self._error(f"{target} has no classmethod missing(settings)")
        return engine
