"""The state of the data, as the report shows it: its freshness, and what is open."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from market_rotation.tasks.report.exhibits.base import Column, Exhibit
from market_rotation.tasks.report.phrases import DATASETS, listed, plain, plural

if TYPE_CHECKING:
    import pandas as pd


def freshness(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The freshness of each dataset at the session."""
    named = rows.assign(dataset=rows["dataset"].map(DATASETS))
    datasets = plain(named)
    absent = [row["dataset"] for row in datasets if row["latest"] is None]
    late = [
        f"{row['dataset']} ({plural(row['sessions_behind'], 'session')})"
        for row in datasets
        if row["latest"] is not None and row["sessions_behind"] > row["usually_behind"]
    ]
    sentences = []
    if late:
        sentences.append(f"Later than usual: {listed(late)}.")
    if absent:
        sentences.append(f"There is no data for {listed(absent)}.")
    return Exhibit(
        id="freshness",
        title="How fresh is the data?",
        finding=" ".join(sentences) or "All data is up to date.",
        note="Issuers publish a session's NAV and shares on the following day; holdings and estimates are requested once a week.",
        sql=sql,
        rows=rows,
        table=named,
        columns=(
            Column("dataset", "Data", "text"),
            Column("latest", "Latest", "session"),
            Column("sessions_behind", "Sessions behind", "count"),
            Column("usually_behind", "Usual at most", "count"),
            Column("symbols_latest", "Symbols with the latest", "count"),
            Column("symbols", "Of", "count"),
        ),
        missing=f"There is no data for {listed(absent)}." if absent else None,
    )


#: One and several of each kind of problem, in words.
KINDS = {
    "Run did not publish": ("last run that did not publish", ""),
    "Could not be checked": ("expectation that could not be checked", "expectations that could not be checked"),
    "Expectation failed": ("failed expectation", "failed expectations"),
    "For information": ("note for information", "notes for information"),
    "Rows set aside": ("dataset with rows set aside", "datasets with rows set aside"),
    "Dead source": ("source that stands still", "sources that stand still"),
    "Alerts not sent": ("group of alerts not sent", ""),
}


def problems(rows: pd.DataFrame, sql: str) -> Exhibit:
    """The open problems of the warehouse; no rows when there are none."""
    found = plain(rows)
    finding = "Nothing is open."
    if found:
        critical = found[0]["critical_problems"]
        kinds = Counter(row["problem"] for row in found)
        counted = listed([f"{count} {KINDS[kind][count > 1]}" for kind, count in kinds.items()])
        finding = f"Nothing critical is open, only {counted}."
        if critical:
            finding = (
                f"{plural(critical, 'critical problem')} {'is' if critical == 1 else 'are'} open; in all {counted}."
            )
    named = rows.assign(dataset=rows["dataset"].map(DATASETS).fillna(rows["dataset"]))
    return Exhibit(
        id="problems",
        title="What is open?",
        finding=finding,
        note="Failed expectations that did not block the last published batch, rows in quarantine, sources that repeat old values, and alerts "
        "that could not be sent. A quarantined row is published automatically when the vendor corrects it.",
        sql=sql,
        rows=rows,
        table=named,
        columns=(
            Column("problem", "Problem", "text"),
            Column("severity", "Severity", "text"),
            Column("dataset", "Data", "text"),
            Column("subject", "Check or source", "text"),
            Column("affected", "Rows", "count"),
            Column("sentence", "What is wrong", "text"),
            Column("example", "Such as", "text"),
        ),
    )
