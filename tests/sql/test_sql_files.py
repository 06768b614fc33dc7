"""The SQL files: headers, comments and the names that people and reports rely on."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
import world

from market_rotation.tasks import warehouse
from market_rotation.tasks.warehouse import models

FILES = sorted(models.SQL.glob("*/*.sql"))
MODELS = {model.name: model for model in models.models()}
TABLES = [name for name, model in MODELS.items() if model.kind != "macro"]
PUBLIC = [name for name in TABLES if name.split(".")[0] in ("core", "signals", "ops")]
DOCUMENTED = [*PUBLIC, *(name for name in TABLES if name.startswith("raw."))]
HEADER_KEYS = ("grain", "rows", "sources", "lookback", "incremental", "null", "formula", "columns")

RETURNS = "return_1d return_1w return_1m return_3m return_6m return_12m return_ytd"
SIDES = ("mag7_return", "rest_return", "tech_return", "ex_tech_return", "mag7_minus_rest", "tech_minus_ex_tech")
CONTRACT = {
    "core.instruments": "symbol name kind size_bucket sector peer_group flow_group in_breadth issuer issuer_id index_name benchmark "
    "inception",
    "core.sessions": "session",
    "core.prices": "symbol session open high low close volume dividend split_ratio adj_close total_return_index return_1d "
    "source known_at run_id",
    "core.sector_returns": f"sector session symbol {RETURNS} {RETURNS.replace('return_', 'excess_')}",
    "signals.relative_strength": "pair session small_symbol large_symbol ratio spread_1w spread_1m spread_3m spread_6m spread_12m "
    "spread_ytd spread_qtd spread_since_low low_session small_return_ytd small_return_qtd small_return_since_low "
    "large_return_ytd large_return_qtd large_return_since_low ratio_ma50 ratio_ma200 ratio_z252 percentile_all ratio_percentile_5y "
    "days_leading",
    "signals.sector_leadership": "sector session symbol return_1m return_3m return_6m return_12m return_ytd "
    "excess_1m excess_3m excess_6m excess_12m excess_ytd rank_1m rank_3m rank_6m rank_12m rank_ytd",
    "core.fund_nav": "symbol session nav shares_outstanding total_net_assets_usd distribution source known_at run_id",
    "core.fund_flows": "symbol session net_flow_usd flow_pct_of_assets source",
    "core.fund_facts": "symbol as_of expense_ratio holdings_count total_net_assets_usd nav category index_name trailing_pe "
    "source known_at",
    "core.earnings_growth": "symbol as_of period_end_current_year period_end_next_year eps_year_ago eps_current_year "
    "eps_next_year growth_current_year growth_next_year analysts revisions_up_30d revisions_down_30d source known_at",
    "signals.fund_flows_monthly": "symbol month net_flow_usd flow_pct_of_assets cumulative_ytd_usd streak_months "
    "sessions_covered_pct is_partial members_known members",
    "signals.fund_comparison": "symbol session expense_ratio holdings_count total_net_assets_usd return_12m return_3y return_5y return_10y beta_252d "
    "beta_3y_monthly beta_5y_monthly volatility_252d max_drawdown_252d max_drawdown_5y median_dollar_volume_30d_usd median_share_volume_30d "
    "bid_ask_spread_pct premium_pct dividend_yield trailing_pe top10_weight_pct effective_holdings net_flow_12m_usd",
    "signals.fund_overlap": "symbol other_symbol as_of overlap_weight_pct common_holdings",
    "signals.dispersion": "session mean_correlation_63d return_dispersion_1d return_dispersion_1m",
    "signals.earnings_momentum": "session small_growth_next_year large_growth_next_year gap small_coverage_pct "
    "large_coverage_pct small_median large_median small_revision_breadth large_revision_breadth period_end",
    "signals.mega_cap": "session "
    + " ".join(f"{side}_{h}" for side in SIDES for h in ("1m", "3m", "6m", "12m", "ytd")),
    "signals.breadth": "session sectors_beating_spy_3m sectors_above_200d equal_minus_cap_3m universe_above_200d_pct counted missing",
    "signals.relative_rotation": "symbol timeframe session benchmark rs rs_ratio rs_momentum quadrant heading_deg is_provisional",
    "signals.rotation_evidence": "session evidence axis value threshold threshold_against verdict detail",
    "signals.rotation_regime": "session size_score size_state leadership_score leadership_state support_state label label_since days_in_label",
    "signals.verdict_changes": "session subject old new detail",
    "signals.regime_performance": "axis label horizon observations independent_observations mean_spread median_spread hit_rate_pct t_stat",
    "ops.runs": "run_id flow_run_id started_at finished_at status source session rows_fetched rows_new rows_revised "
    "rows_quarantined published message code_version",
    "ops.validations": "run_id suite dataset expectation column_name severity success raised unexpected_count element_count "
    "observed details",
    "ops.quarantine": "run_id dataset symbol session expectation reason row_json resolved_at",
    "ops.accepted": "run_id dataset symbol session expectation row_json because accepted_by accepted_at",
    "ops.revisions": "dataset symbol session column_name old_value new_value known_at run_id",
    "ops.alerts": "alert_id fingerprint kind severity title body run_id created_at sent_at attempts last_error",
}


@pytest.fixture(scope="module")
def catalogue():
    """Of a small derived warehouse: each table's comment, and each column's type and comment, by `schema.table`."""
    members = world.universe(
        world.instrument("SPY", size_bucket="large"),
        world.instrument("IWM"),
        world.instrument("XLK", kind="sector", sector="technology"),
        pairs=[("IWM", "SPY")],
    )
    closes = [100 + 0.1 * i for i in range(30)]
    frames = [world.bars(symbol, closes) for symbol in members.symbols]
    with world.derived(frames, members, date(2024, 2, 1)) as con:
        tables = con.execute("select schema_name || '.' || table_name, comment from duckdb_tables()").fetchall()
        columns: dict[str, dict[str, tuple[str, str | None]]] = {}
        for table, column, kind, comment in con.execute(
            "select schema_name || '.' || table_name, column_name, data_type, comment from duckdb_columns() order by column_index"
        ).fetchall():
            columns.setdefault(table, {})[column] = (kind, comment)
        macros = con.execute(
            "select schema_name || '.' || function_name, comment from duckdb_functions() where function_type like '%macro'"
        ).fetchall()
        yield dict(tables), columns, dict(macros)


def header(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[: next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))]


def grain(name: str) -> list[str]:
    (line,) = [line for line in header(MODELS[name].path) if line.startswith("-- grain:")]
    return [word.strip() for word in line.removeprefix("-- grain:").split(";")[0].split(",")]


def code(path: Path) -> str:
    """The SQL without strings, quoted names and comments."""
    return re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", " ", path.read_text("utf-8"), flags=re.S)


def name_of(path: Path) -> str:
    return f"{path.parent.name}.{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_header_opens_with_the_tables_name(path):
    """The first line is `-- schema.table: ` and what the table is, as the path says, ending like a sentence or clause."""
    first = header(path)[0]
    assert re.match(rf"-- {re.escape(name_of(path))}: \S.{{10,}}", first), first


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_header_has_known_keys_once(path):
    """Every entry of the header is one of the known kinds, at most once, and says something."""
    keys = []
    lines = header(path)
    for n, line in enumerate(lines[1:], 2):
        if line == "-- columns:":
            # A comment on the first step, right below the columns, would become part of the last one's.
            assert all(below.startswith("--   ") for below in lines[n:])
            break
        if match := re.match(r"-- (\w+): \S", line):
            keys.append(match[1])
        else:
            assert line.startswith("--   "), line
    assert set(keys) <= set(HEADER_KEYS)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_states_its_grain(catalogue, name):
    """The header has one grain, made of columns that the table has."""
    _, columns, _ = catalogue
    assert grain(name)
    if name in columns:
        assert set(grain(name)) <= set(columns[name])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A published warehouse of the simulated market, with every dataset."""
    return world.sample_of_january(tmp_path_factory)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in PUBLIC
        if MODELS[name].kind == "derived" and name not in ("ops.revisions", "core.unknown_distributions")
    ],
)
def test_the_grain_is_unique(simulated, name):
    """No two rows of a derived table share the values of its grain."""
    with warehouse.reading(simulated) as con:
        key = ", ".join(grain(name))
        rows, distinct = con.execute(f"select count(*), count(distinct ({key})) from {name}").fetchone()
    assert rows == distinct > 0


@pytest.mark.long_after(1)
@pytest.mark.parametrize(("order", "threads"), [("rowid desc", 3), ("hash(rowid)", 1)])
def test_the_order_of_the_rows_does_not_matter(simulated, tmp_path, order, threads):
    """With the rows of `raw` in another order, and another number of threads, every derived table is the same to the last bit.

    A sum of doubles differs in its last digits with the order of its rows.
    """
    names = [name for name, model in MODELS.items() if model.kind == "derived" and name.split(".")[0] in models.DERIVED]
    expected = world.content(simulated, *names)
    shuffled = Path(shutil.copy(simulated, tmp_path / "shuffled.duckdb"))
    shuffled.chmod(0o600)
    with warehouse.writing(shuffled) as con:
        con.execute(f"set threads = {threads}")
        for table in [name for name in TABLES if name.startswith("raw.")]:
            con.execute(f"create temp table rows as from {table} order by {order}")
            con.execute(f"delete from {table}")
            con.execute(f"insert into {table} from rows")
            con.execute("drop table rows")
        warehouse.build(con, *models.DERIVED)
    found = world.content(shuffled, *names)
    assert {name for name in names if found[name] != expected[name]} == set()


@pytest.mark.parametrize("name", MODELS)
def test_the_sources_named_are_those_read(name):
    """What the header names as sources is what the file's statements read, tables and macros alike."""
    named = MODELS[name].header["sources"]
    assert (set() if named == "none" else set(named.split(", "))) == MODELS[name].sources


@pytest.mark.parametrize("name", MODELS)
def test_the_header_is_complete(name):
    """Every file states its grain, its nulls, and its look-back in a form that a program can read."""
    header = MODELS[name].header
    assert header["grain"]
    assert header["null"]
    assert re.fullmatch(r"(none|all|1 session|1 row|[1-9]\d* (sessions|rows))(; \S.*)?", header["lookback"])
    assert re.fullmatch(r"by (session|week)(; \S.*)?", header.get("incremental", "by session"))


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.split(".")[0] != "ops"])
def test_signals_and_core_tables_state_nulls_or_have_none(catalogue, name):
    """A core or signals table in which a value can be NULL says in its header when."""
    if "null:" in MODELS[name].comment:
        return
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"), pairs=[("IWM", "SPY")])
    frames = [world.bars(symbol, [1.0, 2.0, 3.0]) for symbol in members.symbols]
    with world.derived(frames, members, date(2024, 1, 4), wanted=[name]) as con:
        for column in catalogue[1][name]:
            assert con.execute(f"select count(*) from {name} where {column} is null").fetchone() == (0,), column


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_column_has_a_comment(catalogue, name):
    """Each column of a table that people read is explained, in DuckDB itself, and each explanation has its column."""
    _, columns, _ = catalogue
    assert [column for column, (_, comment) in columns[name].items() if not comment] == []
    assert set(MODELS[name].column_comments) == set(columns[name])


@pytest.mark.parametrize("name", DOCUMENTED)
def test_comments_are_in_the_order_of_the_columns(catalogue, name):
    """The header explains the columns in the order in which the table has them."""
    _, columns, _ = catalogue
    assert list(MODELS[name].column_comments) == list(columns[name])


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_table_has_a_comment(catalogue, name):
    """Each table is described in DuckDB itself, beginning with its name, grain included."""
    tables, _, _ = catalogue
    assert tables[name].startswith(f"{name}: ")
    assert "\ngrain: " in tables[name]


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.kind == "macro"])
def test_every_macro_has_a_comment(catalogue, name):
    """Each macro is described in DuckDB itself."""
    assert catalogue[2][name].startswith(f"{name}: ")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sql_is_lower_case(path):
    """Outside strings and comments there is no upper-case letter."""
    assert re.findall(r"\w*[A-Z]\w*", code(path)) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_tidy(path):
    """No tabs, no blanks at line ends, one line end at the end of the file."""
    text = path.read_text(encoding="utf-8")
    assert "\t" not in text
    assert not re.search(r"[ ]$", text, flags=re.M)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_derived_tables_read_no_clock(path):
    """No file uses the clock or randomness: a table is a function of its sources and the run's parameters."""
    assert not re.search(
        r"\b(now|current_date|current_timestamp|today|random|uuid|get_current_timestamp)\b", code(path)
    )


@pytest.mark.parametrize("name", CONTRACT)
def test_the_promised_columns_are_there(catalogue, name):
    """Every table and column that people rely on exists under its name."""
    _, columns, _ = catalogue
    assert [column for column in CONTRACT[name].split() if column not in columns[name]] == []


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("_at", "TIMESTAMP WITH TIME ZONE"), ("session", "DATE"), ("_id", "VARCHAR"), ("return_\\w+", "DOUBLE")],
)
def test_types_follow_the_names(catalogue, ending, kind):
    """Moments are TIMESTAMPTZ, sessions DATE, identifiers text and returns DOUBLE, in every table that people read."""
    _, columns, _ = catalogue
    found = {(name, c): k for name in PUBLIC for c, (k, _) in columns[name].items() if re.search(rf"{ending}$", c)}
    found = {key: k for key, k in found.items() if key[1] not in ("total_return_index",)}
    assert found
    assert {key: k for key, k in found.items() if k != kind} == {}


def test_prices_as_of_gives_the_columns_of_prices(catalogue):
    """The macro for the past has the same columns in the same order and types as the table of now."""
    members = world.universe(world.instrument("SPY"), world.instrument("IWM"))
    with world.derived([world.bars("SPY", [1.0, 2.0])], members, date(2024, 1, 3)) as con:
        described = con.execute("describe from core.prices_as_of('infinity'::timestamptz)").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [
        (name, kind) for name, (kind, _) in catalogue[1]["core.prices"].items()
    ]
