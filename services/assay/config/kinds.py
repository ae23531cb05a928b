"""The kinds of values a file may hold, and what becomes of a key: each says itself in the reference.

A kind stands in a field's annotation, `Annotated[int, Whole(low=1)]`, and checks before pydantic does, so
that messages name a cure. Helm and YAML write 1 and 1.0 for one another: whole floats are whole numbers.
Text is never a number and a truth value is never one either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from assay.config.problems import nearest, printable, refused

_LARGEST = 2**53
"""Beyond this a float no longer says which whole number is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of value; `null` allows the file to say null (meaning: as if the key were not there)."""

    null: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            self.accept, handler(source)
        )

    def accept(self, value: object) -> object:
        """The value in its own type.

        Raises:
            PydanticCustomError: it is of another kind or out of range.
        """
        return None if value is None and self.null else self.check(value)

    def check(self, value: object) -> object:
        """`accept` for what is not an allowed null."""
        raise NotImplementedError

    def says(self) -> str:
        """The kind in words, for the reference."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Kind):
    """A finite number; `above` excludes the lower bound itself."""

    low: float | None = None
    high: float | None = None
    above: bool = False

    def check(self, value: object) -> object:
        """A finite float in range."""
        number = float(_number(value, "a number"))
        self._bounds(number)
        return number

    def _bounds(self, number: float) -> None:
        too_low = self.low is not None and (
            number < self.low or (self.above and number == self.low)
        )
        if too_low or (self.high is not None and number > self.high):
            raise refused(
                f"{printable(number)} is out of range", f"write {self.says()}"
            )

    def says(self) -> str:
        """A number and its range."""
        return "a number" + _range(self.low, self.high, above=self.above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Kind):
    """A whole number in a range; `also` are values outside it with a meaning of their own."""

    low: int
    high: int = _LARGEST
    also: tuple[int, ...] = ()

    def check(self, value: object) -> object:
        """An int in range."""
        number = _number(value, "a whole number")
        if number != int(number):
            raise refused(f"{number} is not a whole number", f"write {self.says()}")
        whole = int(number)
        if whole not in self.also and not self.low <= whole <= self.high:
            raise refused(f"{printable(whole)} is out of range", f"write {self.says()}")
        return whole

    def says(self) -> str:
        """A whole number and its range."""
        high = None if self.high == _LARGEST else self.high
        also = "".join(f", or {value}" for value in self.also)
        return f"a whole number{_range(self.low, high)}{also}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Kind):
    """true or false, and nothing that resembles them."""

    def check(self, value: object) -> object:
        """A bool."""
        if isinstance(value, bool):
            return value
        raise refused(
            f"must be true or false, not {_called(value)}",
            "write true or false, without quotes",
        )

    def says(self) -> str:
        """Truth values."""
        return "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Kind):
    """Text. `words` also takes whole numbers, for free words such as 2 that YAML reads as numbers.

    What is `secret` never stands in a message.
    """

    empty: bool = False
    words: bool = False
    secret: bool = False
    longest: int = 10_000

    def check(self, value: object) -> object:
        """A str that can be written as UTF-8."""
        if self.words and isinstance(value, int) and not isinstance(value, bool):
            value = str(value) if abs(value) < _LARGEST else value
        if not isinstance(value, str):
            called = type(value).__name__ if self.secret else _called(value)
            raise refused(f"must be text, not {called}", "put the value in quotes")
        if not value.strip() and not self.empty:
            raise refused("is empty", "write a value, or remove the key")
        if len(value) > self.longest or "\0" in value or not _is_unicode(value):
            raise refused(
                f"is longer than {self.longest} characters, or holds what is no text",
                "write shorter, plain text",
            )
        return value

    def says(self) -> str:
        """Text."""
        return "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Kind):
    """One of a few words."""

    of: tuple[str, ...]

    def check(self, value: object) -> object:
        """One of the words, exactly."""
        if isinstance(value, str) and value in self.of:
            return value
        guess = nearest(value, self.of) if isinstance(value, str) else None
        raise refused(
            f"{_called(value)} is none of {', '.join(self.of)}",
            f"did you mean {guess}?" if guess else f"write {self.says()}",
        )

    def says(self) -> str:
        """The words."""
        return " or ".join(self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Honoured:
    """The key does what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """The key is an older or other name of something: `to` says what."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoEffect:
    """The key is accepted, changes nothing, and the run's notes say so: `why`."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The key is refused unless it says what would happen anyway (`unless`)."""

    why: str
    cure: str
    unless: tuple[object, ...] = (None,)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            self.check, handler(source)
        )

    def check(self, value: object) -> None:
        """Nothing, for the harmless values.

        Raises:
            PydanticCustomError: any other value.
        """
        for harmless in self.unless:
            if type(value) is type(harmless) and value == harmless:
                return
        raise refused(self.why, self.cure)


Fate = Honoured | Mapped | NoEffect | Refused


def plain_json(value: object, depth: int = 20) -> object:
    """The value as JSON carries it, whole floats as ints: 1 and 1.0 are the same parameter.

    Raises:
        PydanticCustomError: it holds something JSON cannot say, or is nested too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _plain_number(value)
    if isinstance(value, str) and _is_unicode(value):
        return value
    if depth and isinstance(value, list | tuple):
        return [plain_json(item, depth - 1) for item in value]
    if depth and isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {
            str(plain_json(key)): plain_json(item, depth - 1)
            for key, item in value.items()
        }
    raise refused(
        f"{_called(value)} cannot be sent as JSON",
        "write text, numbers, true, false, null, lists or maps of them; put dates in quotes",
    )


def _plain_number(value: float) -> float:
    if isinstance(value, int):
        if abs(value) >= 2**63:
            raise refused("is too large a number", "write a number of at most 64 bits")
        return value
    if not math.isfinite(value):
        raise refused("is not a finite number", "write an ordinary number")
    return int(value) if value == int(value) and abs(value) < _LARGEST else value


def _number(value: object, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "write it without quotes"
        if isinstance(value, str):
            hint += "; YAML reads 1e-3 as text, 1.0e-3 as a number"
        raise refused(f"must be {wanted}, not {_called(value)}", hint)
    if isinstance(value, float) and not math.isfinite(value):
        raise refused("is not a finite number", "write an ordinary number")
    if abs(value) > _LARGEST:
        raise refused("is too large a number", "write a smaller one")
    return value


def _range(low: float | None, high: float | None, *, above: bool = False) -> str:
    words = [] if low is None else [f"{'above' if above else 'from'} {low:g}"]
    words += [] if high is None else [f"up to {high:g}"]
    return f" {' '.join(words)}" if words else ""


def _called(value: object) -> str:
    """What a person calls the value's kind; the value itself only where it is a short word."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'the text "{printable(value, 40)}"'
    if isinstance(value, int | float):
        return f"the number {printable(value, 40)}"
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, list | tuple) else type(value).__name__


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
