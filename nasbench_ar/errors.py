"""Every exception this toolkit raises for a user's mistake or a damaged file.

Each message says what was given, what is allowed and what to do.  All of them
derive from `NasbenchError`, so that one `except` catches them, and from the
built-in class that fits (`ValueError`, `KeyError`-like look-ups as
`LookupError`, `OSError` for files), so that generic code works too.
"""


class NasbenchError(Exception):
    """Base of all errors below; its text is one complete line for the user."""


def shown(value: object, most: int = 60) -> str:
    """A value as a message may quote it: on one line, and no longer than `most` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of many thousand digits
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: Exception, most: int = 300) -> str:
    """The first line of what an error says, at most that many characters of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:most]


def quotable(value: object, most: int = 200) -> str:
    """What a user typed, for a message: one short line as it is, anything else as `repr` writes it."""
    if isinstance(value, str) and value.isprintable() and len(value) <= most:
        return value
    return shown(value, most)


def one_line(error: Exception, most: int = 200) -> str:
    return " ".join(str(error).split())[:most] or type(error).__name__


class SpaceError(NasbenchError, ValueError):
    """An architecture, index or id that the search space does not contain."""


class MetricError(NasbenchError, ValueError):
    """A metric that does not exist, is not in the table or may not be used so."""


class MissingEntryError(NasbenchError, LookupError):
    """The table is partial and has no value for what was asked."""


class TableError(NasbenchError, OSError):
    """A table, archive or record that cannot be found, read or written."""


class BudgetExhaustedError(NasbenchError, RuntimeError):
    """A counted query for a new architecture after the budget was spent."""


class SearchError(NasbenchError, ValueError):
    """A searcher that was built with wrong arguments or broke its contract."""


class SpaceExhaustedError(NasbenchError, RuntimeError):
    """A searcher was asked for a proposal after it has seen the whole space."""


class SearchFinishedError(NasbenchError, RuntimeError):
    """A searcher that decides itself when to stop was asked for a proposal after it had."""


class ConfigError(NasbenchError, ValueError):
    """A command line or configuration that cannot be carried out."""


class ResultsError(NasbenchError, OSError):
    """Stored results that cannot be read or written, or belong to another configuration."""


class WriteError(ResultsError):
    """Results that cannot be written: a full disk, a quota, missing permission; what is stored is untouched."""


class DataError(NasbenchError, OSError):
    """Images or labels that are missing or are not what they should be."""


class TrainingError(NasbenchError, RuntimeError):
    """A training or evaluation that broke down: not finite, or out of memory."""


class EngineError(NasbenchError, RuntimeError):
    """Workers that cannot be reached, were killed too often or lack what a task needs."""
