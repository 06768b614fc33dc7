"""The errors a person or an orchestrator tells apart. Each message says what, where, and what to do next."""


class RotationError(Exception):
    """Base of all expected failures: shown as one sentence, never as a traceback."""


class ConfigError(RotationError):
    """A setting, file or argument is wrong. Nothing was done; correct it and call again (exit 2)."""


class SourceUnavailable(RotationError):
    """The vendor did not give a usable answer. Trying again later can help."""


class RateLimited(SourceUnavailable):
    """The vendor asks for fewer requests (HTTP 429)."""


class SymbolNotFound(RotationError):
    """The vendor answers that it does not know the symbol. Trying again does not help."""


class AuditFailed(RotationError):
    """A critical expectation failed, or could not be checked. Trying again with the same data does not help."""


class WarehouseBusy(RotationError):
    """Another process is writing the warehouse. Wait for it to end."""
