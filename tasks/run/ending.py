"""The bad ends of a run: each is recorded, alerted, and described in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import deliver, outbox, without_outbox
from market_rotation.tasks.alerts.failures import of_failure
from market_rotation.tasks.alerts.ping import ping
from market_rotation.tasks.audit import quarantine
from market_rotation.tasks.errors import AuditFailed, RotationError, UsageError, stop_of
from market_rotation.tasks.exhausted import exhausted
from market_rotation.tasks.fallback_settings import fallback_settings
from market_rotation.tasks.run import ledger, stage
from market_rotation.tasks.sources import cache
from market_rotation.tasks.warehouse.damage import is_damage
from market_rotation.tasks.warehouse.publish import publish_records

if TYPE_CHECKING:
    from market_rotation.tasks.run.context import Parameters, RunContext
    from market_rotation.tasks.run.ledger import Run
    from market_rotation.tasks.settings import Settings

log = logging.getLogger("rotation.run")

Ended = Callable[["RunContext"], AbstractContextManager[None]]


@contextmanager
def recorded(parameters: Parameters) -> Iterator[tuple[Run, Ended]]:
    """A new run, and a context manager for its steps once the warehouse is open. An error in either is recorded and alerted.

    An `Exception` ends here, with `run.error` set. A `UsageError` and exceptions that stop the process are raised.
    """
    run = ledger.new_run(parameters.now, parameters.source or "", parameters.session, parameters.flow_run_id)

    @contextmanager
    def ended(context: RunContext) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            stop = stop_of(error)
            _end(context, stop)
            if stop is error:
                raise
            # DuckDB wrapped the stop; its own error says nothing more.
            raise stop from None

    try:
        yield run, ended
        ping(fallback_settings(), "success", run.message)
    except UsageError:
        raise
    except BaseException as error:
        if run.error is None:
            _end_without_warehouse(parameters, run, error)
        ping(fallback_settings(), "success" if run.has_reached_readers else "failure", run.message)
        if not isinstance(error, Exception):
            # For the command line, which shows the outcome of the run.
            error.add_note(run.message)
            raise


def _end(context: RunContext, error: BaseException) -> None:
    """Records the end of a run whose warehouse is open. Each part is tried even if another fails; none raises."""
    run, con, settings = context.run, context.con, context.settings
    _describe(run, error)
    if run.status != "failed":
        # A blocked batch is requested again: the vendor may have corrected it.
        cache.clear(settings.cache)
    is_recorded = is_sent = False
    with _tried("The end of the run could not be recorded."):
        ledger.record_results(con, run.run_id, run.results)
        ledger.finish(con, run, context.clock())
        # No alert on Ctrl-C, nor for a run that is already published.
        if _is_alerted(run, error):
            if isinstance(error, AuditFailed):
                quarantine.record_blocked(con, run)
            found = [of_failure(run, error)]
            repeat, now = settings.alert_repeat, context.clock()
            outbox.update(con, found, scope=(), session=context.session, now=now, repeat=repeat, run_id=run.run_id)
        stage.clear(con)
        is_recorded = True
    with _tried("The alerts could not be sent."):
        if is_recorded:
            deliver.send(con, settings, context.clock())
            is_sent = True
    if not is_recorded:
        log.warning("%s cannot be written, so this run is not in ops.runs.", settings.build)
    if not is_sent and _is_alerted(run, error):
        _alert_without_outbox(context.settings, run, error)
    try:
        is_built = run.is_built and not run.has_reached_readers
        publish_records(con, settings.build, settings.published, is_built=is_built)
    except Exception as fault:
        log.warning("%s", fault)


def _end_without_warehouse(parameters: Parameters, run: Run, error: BaseException) -> None:
    """Records the end of a run whose settings are wrong or whose warehouse cannot be opened; alerts without the outbox if it cannot be written."""
    _describe(run, error)
    run.finished_at = run.known_at
    if isinstance(error, KeyboardInterrupt):
        return
    settings = fallback_settings()
    run.source = run.source or settings.source
    try:
        with warehouse.amend(settings) as con:
            ledger.insert(con, run, settings.home)
            ledger.finish(con, run, run.known_at)
            found, now = [of_failure(run, error)], run.known_at
            outbox.update(
                con, found, scope=(), session=run.session, now=now, repeat=settings.alert_repeat, run_id=run.run_id
            )
            deliver.send(con, settings, run.known_at)
    except Exception as fault:
        log.debug("The outbox cannot be written: %s", fault)
        _alert_without_outbox(settings, run, error)


def _alert_without_outbox(settings: Settings, run: Run, error: BaseException) -> None:
    with suppress(Exception):
        without_outbox.alert(settings, of_failure(run, error), run.session, run.known_at)


@contextmanager
def _tried(what: str) -> Iterator[None]:
    """Logs an error inside at debug level, whose text may hold the address of a channel, and continues."""
    try:
        yield
    except Exception:
        log.debug(what, exc_info=True)


def _is_alerted(run: Run, error: BaseException) -> bool:
    return not run.has_reached_readers and not isinstance(error, KeyboardInterrupt)


def _describe(run: Run, error: BaseException) -> None:
    """Sets status, message and error of `run`. A published run stays `published`."""
    run.error = error
    if run.has_reached_readers:
        run.message += f" {_stopped(error)} after publishing; the next run completes the report and the alerts."
        return
    run.status = "blocked" if isinstance(error, AuditFailed) else "failed"
    if isinstance(error, RotationError):
        run.message = str(error)
    elif not isinstance(error, Exception):
        run.message = f"{_stopped(error)} before anything was published; the next run repeats it."
    elif is_damage(error):
        run.message = (
            f"The build database is damaged ({str(error).splitlines()[0][:200]}). Nothing was published; run again: the next run goes on from "
            "the published file."
        )
    elif lacking := exhausted(error):
        run.message = f"{lacking[0]} Nothing was published; {lacking[1]}, then run again."
    else:
        run.message = (
            f"{type(error).__name__}: {error}. Nothing was published; `rotation run --debug` shows where it failed."
        )


def _stopped(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted with Ctrl-C"
    if isinstance(error, Exception):
        return f"It failed ({type(error).__name__}: {error})"
    return "It was stopped by a signal (SIGTERM) or cancelled"
