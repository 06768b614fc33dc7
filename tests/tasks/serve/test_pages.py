"""The pages: their figures are those of the tables, their charts can be drawn, and a wrong address gets one sentence."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import attacks
import duckdb
import httpx
import pytest
import serving
import vl_convert

from market_rotation.tasks import warehouse
from market_rotation.tasks.report.charts import theme
from market_rotation.tasks.serve.pages import own_sql

START = serving.DAYS[100]
PAGES = {
    "/pair": ["pair_returns", "ratio", "returns"],
    "/pair?small=BRK.B&large=IWM": ["pair_returns", "ratio", "returns"],
    "/funds": ["growth", "compared"],
    "/funds?symbols=brk.b,SPY,iwm": ["growth", "compared"],
    "/rotation?symbols=IWM,XLK,BRK.B&tail=3": ["rotation"],
    "/rotation?timeframe=daily": ["rotation"],
    "/flows": ["flows_monthly", "flows_sum"],
    "/flows?by=session&symbols=IWM,VB": ["flows_daily", "flows_sum"],
    "/sql?q=from signals.breadth": ["result"],
}


def rows(client: httpx.Client, address: str, table: str = "") -> list[dict[str, Any]]:
    """A table of a page, as JSON."""
    answer = client.get(address, params={**dict(httpx.URL(address).params), "format": "json", "table": table})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def stored(home: Path, query: str) -> list[dict[str, Any]]:
    """The rows of a query of the warehouse, dates as text."""
    with warehouse.reading(home / "rotation.duckdb") as con:
        frame = con.sql(query).df()
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    return found


def sentence(answer: httpx.Response) -> str:
    """The sentence of a page that says what is wrong."""
    found = re.findall(r'<p class="missing" role="alert">(.*?)</p>', answer.text, re.DOTALL)
    assert len(found) == 1, answer.text
    return html.unescape(found[0])


@pytest.mark.parametrize("address", PAGES)
def test_each_page_has_its_tables_and_its_charts_can_be_drawn(client: httpx.Client, address: str) -> None:
    """Each page shows its exhibits, and each chart compiles with its rows and draws marks."""
    answer = client.get(address)
    assert answer.status_code == 200
    text = answer.text
    assert re.findall(r'<section id="(\w+)"', text) == PAGES[address]
    config = {"params": [{"name": name, "value": "#123456"} for name in theme.PARAMETERS]}
    specs = dict(re.findall(r'<script type="application/json" id="spec-(\w+)">(.*?)</script>', text, re.DOTALL))
    assert specs.keys() == set(PAGES[address]) - {"pair_returns", "compared"}
    for name, spec in specs.items():
        values = rows(client, address, name)
        drawn = {**json.loads(spec), "width": 800, "datasets": {"rows": values}}
        svg = vl_convert.vegalite_to_svg(drawn, config=config)
        marks = re.findall(r'class="mark-(?:line|rect|trail|symbol) role-mark[^"]*"[^>]*><path [^>]*d="M[^"]{8,}', svg)
        assert marks, name


def test_every_page_is_reached_from_every_page(client: httpx.Client) -> None:
    """The start leads to the latest session, and each page of the navigation answers."""
    start = client.get("/")
    assert (start.status_code, start.headers["location"]) == (307, "/session")
    links = re.findall(r'<li><a href="(/\w+)"', client.get("/pair").text)
    assert links == ["/session", "/pair", "/funds", "/rotation", "/flows", "/sql"]
    assert {client.get(link).status_code for link in links} == {200}


def test_a_pair_has_the_figures_of_the_signals(client: httpx.Client, small_home: Path) -> None:
    """Ratio and averages are those of signals.relative_strength, returns those of core.returns, for the pair both hold."""
    ours = rows(client, f"/pair?small=IWM&large=SPY&from={START}", "ratio")
    theirs = stored(
        small_home,
        f"select session, ratio, ratio_ma50, ratio_ma200 from signals.relative_strength where session >= '{START}' order by session",
    )
    assert len(ours) == len(theirs) == 220
    for one, other in zip(ours, theirs, strict=True):
        assert one["session"] == other["session"][:10]
        for name in ("ratio", "ratio_ma50", "ratio_ma200"):
            assert one[name] == (None if other[name] is None else pytest.approx(other[name], rel=1e-12)), name
    assert ours[0]["small_return"] == ours[0]["large_return"] == 0
    assert ours[50]["ratio_ma200"] is None
    horizons = {row["horizon"]: row for row in rows(client, f"/pair?small=IWM&large=SPY&from={START}")}
    small, large = stored(
        small_home,
        "from core.returns where symbol in ('IWM', 'SPY') qualify session = max(session) over () order by symbol",
    )
    for name, words in (("return_1w", "1 week"), ("return_12m", "12 months"), ("return_ytd", "year to date")):
        assert horizons[words]["small_return"] == pytest.approx(small[name], rel=1e-12)
        assert horizons[words]["spread"] == pytest.approx(small[name] - large[name], rel=1e-9)
    assert horizons[f"since {START}"]["small_return"] == pytest.approx(ours[-1]["small_return"], rel=1e-12)


def test_funds_have_the_figures_of_the_signals(client: httpx.Client, small_home: Path) -> None:
    """Risk, size and flows of small-cap funds are those of signals.fund_comparison; what is not known is null."""
    ours = {row["symbol"]: row for row in rows(client, "/funds?symbols=VB,IWM,SPY", "compared")}
    theirs = stored(small_home, "from signals.fund_comparison qualify session = max(session) over ()")
    assert list(ours) == ["VB", "IWM", "SPY"]
    assert {row["symbol"] for row in theirs} == {"IWM", "VB"}
    for row in theirs:
        for name in (
            "return_12m",
            "volatility_252d",
            "max_drawdown_252d",
            "beta_252d",
            "median_dollar_volume_30d_usd",
            "net_flow_12m_usd",
        ):
            assert ours[row["symbol"]][name] == pytest.approx(row[name], rel=1e-12), name
    assert ours["SPY"]["net_flow_12m_usd"] is None
    assert ours["SPY"]["beta_252d"] is None
    growth = rows(client, f"/funds?symbols=VB,IWM&from={START}", "growth")
    firsts = {row["symbol"]: row["growth"] for row in reversed(growth)}
    assert firsts == {"VB": 100, "IWM": 100}
    (whole,) = stored(small_home, f"from core.returns_between('{START}', '{serving.LATEST}') where symbol = 'IWM'")
    assert growth[-1]["growth"] == pytest.approx(100 * (1 + whole["total_return"]), rel=1e-12)


def test_the_rotation_graph_has_the_points_of_the_signals(client: httpx.Client, small_home: Path) -> None:
    """A tail of three weeks is the last four rows of signals.relative_rotation up to the date; one of a past date knows nothing later."""
    past = serving.DAYS[250]
    ours = rows(client, f"/rotation?symbols=XLK,IWM&tail=3&date={past}")
    theirs = stored(
        small_home,
        f"""
        from signals.relative_rotation
        where symbol in ('XLK', 'IWM') and timeframe = 'weekly' and session <= '{past}'
        qualify row_number() over (partition by symbol order by session desc) <= 4
        order by symbol desc, session
        """,
    )
    assert [(r["symbol"], r["session"], r["rs_ratio"], r["quadrant"]) for r in ours] == [
        (r["symbol"], r["session"][:10], pytest.approx(r["rs_ratio"], rel=1e-13), r["quadrant"]) for r in theirs
    ]
    assert [row["weeks_back"] for row in ours] == [3, 2, 1, 0] * 2
    assert all(row["session"] <= str(past) for row in ours)


def test_flows_have_the_figures_of_the_signals(client: httpx.Client, small_home: Path) -> None:
    """Months are those of signals.fund_flows_monthly, sessions those of core.fund_flows; sums add them up from the first shown."""
    ours = rows(client, "/flows?symbols=group:small_cap,IWM&from=2024-06-10")
    theirs = stored(
        small_home,
        "select symbol, month, net_flow_usd from signals.fund_flows_monthly where symbol in ('group:small_cap', 'IWM') and month >= '2024-06-01' "
        "order by symbol <> 'group:small_cap', month",
    )
    assert [(r["symbol"], r["month"], r["net_flow_usd"]) for r in ours] == [
        (r["symbol"], r["month"][:10], pytest.approx(r["net_flow_usd"])) for r in theirs
    ]
    known = [row["net_flow_usd"] for row in ours if row["symbol"] == "IWM"]
    assert ours[-1]["sum_usd"] == pytest.approx(sum(known))
    daily = rows(client, f"/flows?symbols=IWM&by=session&from={serving.DAYS[0]}")
    # The first record has no flow, which is not known and not zero.
    assert (daily[0]["net_flow_usd"], daily[0]["sum_usd"]) == (None, None)
    (total,) = stored(small_home, "select sum(net_flow_usd) as usd from core.fund_flows where symbol = 'IWM'")
    assert daily[-1]["sum_usd"] == pytest.approx(total["usd"])


@pytest.mark.long_after(0)
def test_a_month_that_is_not_known_ends_the_sum(tmp_path: Path) -> None:
    """A month without a flow leaves the sums after it unknown, and the page names the gap."""
    serving.publish(tmp_path / "rotation.duckdb")
    with warehouse.writing(tmp_path / "rotation.duckdb") as con:
        con.execute(
            "update signals.fund_flows_monthly set net_flow_usd = null where symbol = 'IWM' and month = '2024-10-01'"
        )
    with serving.reader(tmp_path) as client:
        found = rows(client, "/flows?symbols=IWM&from=2024-08-01")
        text = client.get("/flows?symbols=IWM&from=2024-08-01").text
    assert [row["sum_usd"] is None for row in found] == [row["month"] >= "2024-10-01" for row in found]
    assert "Not known: IWM in 1 month of 9." in text
    assert "No sum over the period is known." in text


#: Addresses that cannot be answered, and what the sentence says.
MISTAKES = {
    "/pair?small=ZZZ": "The warehouse has no 'ZZZ' for small; choose from BRK.B, IWM, SPY",
    "/pair?small=IWM,VB": "small takes one symbol; leave out VB.",
    "/pair?small=IWM&large=iwm": "small and large are both IWM; choose two different symbols.",
    "/pair?from=2024-02-30": "from='2024-02-30' is not a date; write it as YYYY-MM-DD.",
    "/pair?from=2025-01-02&to=2024-01-02": "from=2025-01-02 is after to=2024-01-02; choose an earlier one.",
    "/pair?smal=IWM": "'smal' is not a parameter of /pair, which takes: format, from, large, small, table, to.",
    "/funds?symbols=SPY,<b>": "The warehouse has no '<B>' for symbols",
    "/rotation?tail=0": "tail='0' is not possible; choose a whole number from 1 to 26.",
    "/rotation?tail=1e3": "tail='1e3' is not possible; choose a whole number from 1 to 26.",
    "/rotation?timeframe=monthly": "timeframe='monthly' is not possible; choose from weekly, daily.",
    "/flows?symbols=SPY": "The warehouse has no 'SPY' for symbols; choose from IWM, VB, group:small_cap",
    "/flows?by=session&symbols=group:small_cap": "Flows of group:small_cap are known by month; choose by=month, or a fund.",
    "/session?date=1999-01-04": "1999-01-04 is outside the warehouse, which goes from 2024-01-02 to",
    "/session?date=today": "date='today' is not a date; write it as YYYY-MM-DD.",
    "/session?known=maybe": "known='maybe' is not possible; choose from now, then.",
    "/sql?q=select 1; select 2": "This page takes one statement and found 2",
    "/sql?q=selec 1": "The statement failed: Parser Error: syntax error at or near",
    "/sql?q=from nowhere": "The statement failed: Catalog Error: Table with name nowhere does not exist!",
    "/sql?q=select 1 as a, 2 as b union all select 2, 3&x=c": "x='c' is not a column of the result; choose from a, b.",
    "/sql?q=select 1 as a, 'z' as b union all select 2, 'y'&y=b": "y='b' is not a number; choose from a.",
}


@pytest.mark.long_after(0)
@pytest.mark.parametrize("address", MISTAKES)
def test_a_wrong_address_gets_one_sentence(client: httpx.Client, address: str) -> None:
    """Status 400 and one sentence that says what to change; for programs the same as JSON."""
    answer = client.get(address)
    assert answer.status_code == 400
    assert MISTAKES[address] in sentence(answer)
    assert "Traceback" not in answer.text
    data = client.get(address, params={**dict(httpx.URL(address).params), "format": "json"})
    if not address.startswith("/session"):
        assert (data.status_code, data.json()) == (400, {"error": sentence(answer)})


def test_an_unknown_table_is_named(client: httpx.Client) -> None:
    """A table that the page lacks is refused, with those it has; so is a page without a statement."""
    answer = client.get("/funds?format=csv&table=nope")
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "There is no table 'nope' on this page; it has growth, compared.",
    )
    assert client.get("/sql?format=csv").status_code == 400


def test_other_addresses_and_methods_are_refused(client: httpx.Client) -> None:
    """An address that does not exist is 404, a method other than GET 405, each with a sentence."""
    gone = client.get("/nope")
    assert (gone.status_code, sentence(gone)) == (404, "There is no page /nope; start at /session.")
    assert client.get("/static/app.py").status_code == 404
    assert client.get("/static/..%2fapp.py").status_code == 404
    posted = client.post("/sql", data={"q": "select 1"})
    assert (posted.status_code, sentence(posted)) == (405, "This server only answers GET; it changes nothing.")
    stored_report = client.get("/stored?date=2025-01-02")
    assert (stored_report.status_code, sentence(stored_report)) == (
        404,
        "No report of 2025-01-02 was written; /session?date=2025-01-02 shows it.",
    )


def test_downloads_have_names_and_full_precision(client: httpx.Client) -> None:
    """CSV and JSON of a table are files with the page's name, every row in full precision."""
    answer = client.get("/pair?small=IWM&large=SPY&format=csv&table=ratio")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="IWM-SPY-ratio.csv"'
    first, *lines = answer.text.splitlines()
    assert first == "session,ratio,ratio_ma50,ratio_ma200,small_return,large_return,spread"
    (last,) = rows(client, "/pair?small=IWM&large=SPY", "ratio")[-1:]
    assert [lines[-1].split(",")[0], float(lines[-1].split(",")[1])] == [last["session"], last["ratio"]]


@pytest.mark.parametrize(
    "address",
    ["/pair?to=0001-01-01", "/funds?to=0001-01-01", f"/rotation?tail={'9' * 5_000}", f"/session?date={'x' * 8_001}"],
)
def test_extreme_values_are_refused_with_a_sentence(client: httpx.Client, address: str) -> None:
    """The first of all dates, a number too long to read and a long text are wrong parameters, not unexpected errors."""
    answer = client.get(address)
    assert answer.status_code == 400
    assert sentence(answer).endswith(".")


HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "address",
    [
        f"/pair?small={HOSTILE}",
        f"/funds?symbols={HOSTILE}",
        f"/session?date={HOSTILE}",
        f"/rotation?tail={HOSTILE}",
        f"/pair?{HOSTILE}=1",
        f"/{HOSTILE}",
        f"/sql?q=select {HOSTILE}",
        f"/sql?q=select '{HOSTILE}' as \"{HOSTILE}\", 1 as n from range(2)",
        f"/sql?q=select '</script>{HOSTILE}' as a, 1 as n from range(9)&series=a",
        "/funds?symbols=BRK.B,SPY",
        "/sql?q=from core.instruments",
    ],
)
def test_no_text_becomes_markup(client: httpx.Client, address: str) -> None:
    """What an address, a statement or a vendor's name holds is shown as text, in HTML and in the data of charts."""
    text = client.get(address).text
    assert "<img" not in text
    assert "<script>" not in text
    assert len(re.findall(r"<script", text)) == len(re.findall(r"</script>", text))
    assert "&lt;" in text or "\\u003c" in text


@pytest.mark.parametrize("attack", attacks.ATTACKS)
def test_no_statement_changes_anything_or_reads_a_file(
    client: httpx.Client, small_home: Path, tmp_path: Path, attack: str
) -> None:
    """Each is refused with one sentence, and no file is changed or made."""
    (tmp_path / "mine.csv").write_text("secret\n8675309\n")
    before = {path: path.stat().st_mtime_ns for folder in (tmp_path, small_home) for path in folder.rglob("*")}
    answer = client.get("/sql", params={"q": attack.format(home=small_home, folder=tmp_path)})
    assert answer.status_code == 400
    assert "8675309" not in sentence(answer)
    assert {path: path.stat().st_mtime_ns for folder in (tmp_path, small_home) for path in folder.rglob("*")} == before


@pytest.mark.long_after(0)
@pytest.mark.parametrize(
    "query",
    [
        "from signals.breadth limit 3",
        "pivot (select 1 as a, 'x' as b) on b using sum(a)",
        "describe signals.breadth",
        "show all tables",
        "summarize core.pairs",
        "explain from core.pairs",
        "with a as (select 1) from a;",
        "values (1)",
        "select timestamp '290000-01-01' as far, 1 as n from range(3)",
        "select [1, 2] as list, {'a': 1} as struct, null as nothing, true as flag, 1::hugeint as huge, interval 1 day as span",
        "select 'a' as a, 'b' as a",
        "from core.prices_as_of(now()) limit 1",
        "select timestamptz '2025-01-02 12:00:00+00' as at, 'é' as \"weird.[name]\", 2 as n from range(3)",
    ],
)
def test_queries_of_every_kind(client: httpx.Client, query: str) -> None:
    """What only reads is answered as a page, as CSV and as JSON."""
    for form in ("", "csv", "json"):
        answer = client.get("/sql", params={"q": query, "format": form})
        assert answer.status_code == 200, (form, answer.text)
    assert answer.json()


def test_values_of_every_type_are_shown(client: httpx.Client) -> None:
    """Each type of DuckDB beside a number as a page with a chart, and all together as files; pandas cannot hold some, which DuckDB says."""
    with duckdb.connect() as con:
        types = [name for name, *_ in con.execute("describe from test_all_types()").fetchall()]
    shown = []
    for name in types:
        answer = client.get("/sql", params={"q": f'select "{name}", 1 as n from test_all_types()', "series": name})
        if "Unsupported type" in answer.text or "Could not convert DATE" in answer.text:
            continue
        assert answer.status_code == 200 or "no place on an axis" in sentence(answer), (name, answer.text)
        shown += [f'"{name}"']
    assert len(shown) > 45
    for form in ("", "csv", "json"):
        answer = client.get(
            "/sql", params={"q": f"select {', '.join(shown)}, 1 as n from test_all_types()", "format": form}
        )
        assert answer.status_code == 200, (form, answer.text)


def test_a_result_is_limited(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes too long is interrupted, and a result that is too long is cut, both with a sentence."""
    monkeypatch.setattr(own_sql, "LIMIT_S", 0.3)
    slow = client.get("/sql?q=select count(*) from range(100000000000) a, range(1000000) b")
    assert (slow.status_code, sentence(slow)) == (
        400,
        "The statement failed: interrupted after 0.3 seconds; write a query that takes less.",
    )
    monkeypatch.setattr(own_sql, "LIMIT_S", 10)
    monkeypatch.setattr(own_sql, "MOST_ROWS", 5)
    assert "only the first 5 are here" in client.get("/sql?q=from range(6)").text
    assert len(rows(client, "/sql?q=from range(6)")) == 5
    assert "only the first 5" not in client.get("/sql?q=from range(5)").text


def test_a_statement_does_not_restrict_the_pages(client: httpx.Client) -> None:
    """The locked connection of a statement is apart: the pages after it can still set their variables."""
    assert client.get("/sql?q=select 1").status_code == 200
    assert client.get("/pair").status_code == 200
