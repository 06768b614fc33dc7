"""Alert rules of the user's own: one alert when a rule begins, one when it ends; a broken rule is an incident and changes no run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import webhook
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.alerts import changes, outbox, rules
from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.settings import load_settings

DAYS = world.days(date(2024, 1, 2))
PUBLISHED = Path("warehouse/rotation.duckdb")
CHEAP = """\
-- rule: iwm_cheap
-- sentence: IWM closed below 100.
select symbol, session, close
from core.prices
where symbol = 'IWM' and session = (select max(session) from core.prices) and close < 100 -- the last session only
;
"""


pytestmark = pytest.mark.usefixtures("two_symbols")


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[webhook.Webhook, webhook.Webhook]]:
    """Two channels, both webhooks."""
    with webhook.serving() as first, webhook.serving() as second:
        monkeypatch.setenv("ROTATION_ALERT_URLS", f"{first.url('one')} {second.url('two')}")
        yield first, second


def market() -> world.FakeSource:
    """SPY stands at 400; IWM falls from 101 by 1 a session to 98, and rises again from the seventh session on."""
    closes = [101.0, 100.5, 100.2, 99.0, 98.5, 98.0, 101.0, 102.0]
    return world.FakeSource({"SPY": world.bars("SPY", [400.0 + i for i in range(8)]), "IWM": world.bars("IWM", closes)})


def write(text: str, name: str = "prices.sql") -> Path:
    path = Path("warehouse/rules") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def alerts() -> list[tuple[str, str, str]]:
    """Kind, fingerprint and title of all alerts that readers see, oldest first."""
    with warehouse.reading(PUBLISHED) as con:
        return con.execute("select kind, fingerprint, title from ops.alerts order by created_at, alert_id").fetchall()


@pytest.mark.long_after(0)
def test_a_rule_is_alerted_when_it_begins_and_when_it_ends() -> None:
    """Three sessions above 100, three below, one above: one alert, no reminder, one end; the published outbox shows both."""
    write(CHEAP)
    source = market()
    for day in DAYS[1:8]:
        assert world.run(source, day).status == "published"
    found = alerts()
    assert [(kind, fingerprint) for kind, fingerprint, _ in found] == [
        ("failure", "rule:iwm_cheap"),
        ("recovery", "rule:iwm_cheap"),
    ]
    assert found[0][2] == "IWM closed below 100."
    assert found[1][2] == "Ended after 5 days: IWM closed below 100."
    with warehouse.reading(PUBLISHED) as con:
        (severity, body, session) = con.execute(
            "select severity, body, session from ops.alerts where kind = 'failure'"
        ).fetchone()
    assert severity == "warning"
    assert f"The rule iwm_cheap returns 1 row:\n- IWM {DAYS[3]}: close 99" in body
    assert session == DAYS[3]


@pytest.mark.long_after(0)
def test_a_rule_that_breaks_neither_ends_nor_stops_the_run(hooks: tuple[webhook.Webhook, webhook.Webhook]) -> None:
    """A rule that fires and is then broken stays open; the message names the file and DuckDB's sentence; corrected, it recovers."""
    path = write(CHEAP)
    source = market()
    world.run(source, DAYS[3])
    write(CHEAP.replace("core.prices\nwhere", "core.no_such_table\nwhere"))
    assert world.run(source, DAYS[4]).status == "published"
    assert [(k, f) for k, f, _ in alerts()] == [("failure", "rule:iwm_cheap"), ("failure", "broken-rule:iwm_cheap")]
    body = hooks[0].messages[-1]["message"]
    assert str(path) in body
    assert "Table with name no_such_table does not exist!" in body
    write(CHEAP)
    world.run(source, DAYS[5])
    assert [(k, f) for k, f, _ in alerts()][2:] == [("recovery", "broken-rule:iwm_cheap")]
    path.unlink()
    # An hour later: a second run of the evening.
    assert world.run(source, DAYS[5], now=datetime(2024, 1, 10, 0, 30, tzinfo=UTC)).status == "up_to_date"
    assert [(k, f) for k, f, _ in alerts()][3:] == [("recovery", "rule:iwm_cheap")]


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from read_csv('/etc/hostname');", "file system operations are disabled by configuration"),
        ("select * from '/etc/hostname';", "Table with name /etc/hostname does not exist"),
        ("select 1 / 0 as a, error('out of range');", "out of range"),
    ],
)
def test_a_rule_reads_nothing_but_the_warehouse(query: str, said: str) -> None:
    """A rule that opens a file, or fails while it runs, is an incident with DuckDB's sentence."""
    write(f"-- rule: nosy\n-- sentence: It reads a file.\n{query}\n")
    assert world.run(market(), DAYS[2]).status == "published"
    with warehouse.reading(PUBLISHED) as con:
        ((fingerprint, body),) = con.execute("select fingerprint, body from ops.alerts").fetchall()
    assert fingerprint == "broken-rule:nosy"
    assert said in body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select 1;\n", "line 1: there is no rule; begin one with the line `-- rule: identifier`."),
        ("-- rule: a\nselect 1;\n", "line 1: the rule a has no sentence; add the line `-- sentence: …`."),
        ("-- rule: a\n-- sentence: So.\n-- severity: grave\nselect 1;\n", "the severity of a is 'grave'; choose critical or"),
        ("-- rule: a\n-- sentence: So.\n-- severit\n-- severity: critical\nselect 1;\n", "the key 'severity' stands below the header, which line 3 ends"),
        ("-- rule: a\n-- sentence: So.\ndelete from ops.alerts;\n", "the statement of a is not a select"),
        ("-- rule: a\n-- sentence: So.\n-- chanel: x\nselect 1;\n", "line 3: the key 'chanel' is unknown; use one of rule, sentence, severity, channel."),
        ("-- rule: a\n-- sentence: So.\nselect 1;\n-- rule: a\n-- sentence: So.\nselect 2;\n", "line 4: the rule a appears twice"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_as_rules_names_line_and_remedy(text: str, said: str) -> None:
    """Each fault of a file is one incident, which says where and what to do."""
    path = write(text)
    found, (broken,) = rules.load(load_settings())
    assert found == []
    assert broken.fingerprint == "broken-rule:prices.sql"
    assert f"{path}, line" in broken.what
    assert said in broken.what


def test_rules_in_rotation_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of `rotation.toml` is a rule as well; an identifier that is taken, or an unknown key, is an incident."""
    write(CHEAP)
    Path("warehouse/rotation.toml").write_text(
        '[rules.spy_high]\nsentence = "SPY is high."\nseverity = "critical"\nchannel = "json"\nsql = "select 1 as a"\n'
        '[rules.iwm_cheap]\nsentence = "Again."\nsql = "select 1"\n'
        '[rules.odd]\nsentence = "Odd."\nqeury = "select 1"\n',
        encoding="utf-8",
    )
    found, broken = rules.load(load_settings())
    assert [(r.id, r.severity, r.channel) for r in found] == [
        ("iwm_cheap", "warning", None),
        ("spy_high", "critical", "json"),
    ]
    assert "the rule iwm_cheap exists already, in warehouse/rules/prices.sql" in broken[0].what
    assert "the key 'qeury' is unknown; use one of sentence, severity, channel, sql." in broken[1].what


@pytest.mark.long_after(0)
def test_a_rule_goes_to_its_channel_only(hooks: tuple[webhook.Webhook, webhook.Webhook]) -> None:
    """A rule for the first channel reaches that one; one for a channel that does not exist reaches all, so that it is not lost."""
    write(CHEAP.replace("-- sentence", "-- channel: 1:json\n-- sentence"))
    write("-- rule: lost\n-- sentence: Lost.\n-- channel: pigeon\nselect 1 as a;\n", "lost.sql")
    world.run(market(), DAYS[3])
    assert sorted(m["title"].partition(": ")[2] for m in hooks[0].messages) == ["IWM closed below 100.", "Lost."]
    assert len(hooks[1].messages) == 1
    with warehouse.reading(PUBLISHED) as con:
        assert con.execute("select count(*) from ops.alerts where sent_at is null").fetchone() == (0,)


@pytest.mark.long_after(0)
def test_a_rule_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query without end is interrupted, and is an incident that says so."""
    monkeypatch.setattr(rules, "TIME_LIMIT_S", 0.2)
    write(
        "-- rule: endless\n-- sentence: Endless.\nselect sum(a.range * b.range) from range(10000000) a, range(10000000) b;\n"
    )
    world.run(market(), DAYS[1])
    ((kind, fingerprint, _),) = alerts()
    assert (kind, fingerprint) == ("failure", "broken-rule:endless")


def test_a_change_of_label_is_announced_once() -> None:
    """A change of label since the session published before is a notice; not again by a second run; not on the first session."""
    with warehouse.writing(Path(":memory:")) as con:
        con.execute(
            "create table signals.verdict_changes (session date, subject varchar, old varchar, new varchar, detail varchar)"
        )
        changed = [(1, "label", "neutral", "building"), (2, "size_state", "even", "leading"), (2, "breadth", None, "for"), (2, "label", "building", None)]  # fmt: skip
        for place, subject, old, new in changed:
            con.execute(
                "insert into signals.verdict_changes values ($1, $2, $3, $4, 'Why.')", [DAYS[place], subject, old, new]
            )
        world.fill(con, "ops.runs", *(
            {"run_id": f"r{i}", "started_at": datetime(2024, 1, 3, tzinfo=UTC), "status": "published", "session": DAYS[i], "published": True, "source": "yahoo", "code_version": "1"}
            for i in (1, 2)
        ))  # fmt: skip
        settings = load_settings()
        assert changes.since_last_session(con, settings, "r1", DAYS[1]) == []
        found = changes.since_last_session(con, settings, "r2", DAYS[2])
        assert [n.title for n in found] == ["Label: not known (was building)", "Size state: leading (was even)"]
        every = changes.since_last_session(con, load_settings(alert_on="verdict"), "r2", DAYS[2])
        assert [n.fingerprint for n in every] == [f"change:{DAYS[2]}:breadth:for"]
        assert changes.since_last_session(con, load_settings(alert_on="none"), "r2", DAYS[2]) == []
        for _ in range(2):
            outbox.announce(con, found, DAYS[2], datetime(2024, 1, 5, tzinfo=UTC), "r2")
        assert con.execute("select kind, severity, count(*) from ops.alerts group by all").fetchall() == [
            ("notice", "info", 2)
        ]
        assert outbox.open_incidents(con) == {}
    with pytest.raises(
        ConfigError, match="'labels' is not a kind of change; choose from label, state, verdict, or none"
    ):
        load_settings(alert_on="labels")


def test_a_fault_in_the_rules_module_changes_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong with the rules, the run is published and its other alerts are sent."""
    monkeypatch.setattr(rules, "judge", lambda settings: 1 / 0)
    with caplog.at_level(logging.WARNING, "rotation.run"):
        assert world.run(market(), DAYS[1]).status == "published"
    assert "The alert rules could not be evaluated (ZeroDivisionError" in caplog.text
