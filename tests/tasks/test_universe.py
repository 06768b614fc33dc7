"""The universe: the shipped one is the contract's, and every fault in one's own is said in one sentence."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from market_rotation.tasks.errors import ConfigError
from market_rotation.tasks.issuers import publisher
from market_rotation.tasks.universe import Instrument, load_universe

LADDER = "SPY IVV VOO IWB QQQ MDY IWM VTWO IJR SPSM VB IWC RSP"
SECTORS = "XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY"
INDEXES = "^TNX ^IRX ^VIX DX-Y.NYB"
CONTEXT = f"HYG IEF {INDEXES}"
#: Funds that are followed for their flows, besides those of the size ladder.
FLOWS = "VBR VBK AVUV SCHA IWO IWN DFAT DFAS FNDA IJS IJT DFSV SLYV SLYG VIOO PRFZ SMLF CALF AVSC XSMO"
SEVEN = "AAPL MSFT GOOGL AMZN NVDA META TSLA"
PAIRS = ["IWM/IWB", "IJR/SPY", "SPSM/SPY", "VB/SPY", "IWC/IWB", "MDY/SPY", "RSP/SPY", "IJR/IWM", "IWO/IWN"]

HEADER = "symbol,name,kind,size_bucket,sector,peer_group,issuer,issuer_id,index_name,benchmark,inception\n"
NEWER_HEADER = HEADER.replace("peer_group,", "peer_group,flow_group,in_breadth,")
SPY = "SPY,S&P 500,fund,large,,,,,,,1993-01-29\n"
IWM = "IWM,Russell 2000,fund,small,,,,,,SPY,\n"
IWB = "IWB,Russell 1000,fund,large,,,,,,SPY,\n"
XLK = "XLK,Technology,sector,large,technology,,,,,SPY,\n"
PAIR_HEADER = "small_symbol,large_symbol,headline,earnings\n"


def write(folder: Path, text: str | bytes, pairs: str | None = None) -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if pairs is not None:
        (folder / "pairs.csv").write_text(pairs, encoding="utf-8")
    return path


def refused(path: Path, *parts: str) -> None:
    """Loading `path` raises a ConfigError of one line that holds all of `parts`."""
    with pytest.raises(ConfigError) as caught:
        load_universe(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    for part in parts:
        assert part in message


def pair_names(path: Path | None = None) -> list[str]:
    return [f"{p.small_symbol}/{p.large_symbol}" for p in load_universe(path).pairs]


def test_the_shipped_universe_is_the_contracts():
    """The shipped universe has exactly the symbols promised for breadth, flows and context, each once, with the contract's columns."""
    members = load_universe()
    counted = [i.symbol for i in members.instruments if i.in_breadth]
    assert sorted(counted) == sorted(f"{LADDER} {SECTORS} {SEVEN} MAGS".split())
    assert len(counted) == 32
    assert sorted(members.symbols) == sorted([*counted, *CONTEXT.split(), *FLOWS.split()])
    assert {i.symbol for i in members.instruments if i.kind == "index"} == set(INDEXES.split())
    assert list(Instrument.model_fields) == NEWER_HEADER.strip().split(",")
    groups = {
        name: [i.symbol for i in members.instruments if i.flow_group == name] for name in ("small_cap", "large_cap")
    }
    assert set(groups["small_cap"]) == {"IWM", "VTWO", "IJR", "SPSM", "VB", *FLOWS.split()}
    assert groups["large_cap"] == ["SPY", "IVV", "VOO", "IWB"]
    only_flows = [i for i in members.instruments if i.symbol in FLOWS.split()]
    # They are compared with nothing and counted nowhere.
    assert {(i.kind, i.peer_group, i.benchmark, i.in_breadth) for i in only_flows} == {("fund", None, None, False)}
    readable = {i.symbol for i in members.instruments if publisher(i)}
    assert {"VOO", "VTWO", "VB", "QQQ", "RSP", "MAGS", "IWO", "IWN", "DFAT", "XSMO"} <= readable
    assert not readable & {"AVUV", "AVSC", "SCHA", "FNDA", "CALF", "PRFZ"}


@pytest.mark.parametrize("peer_group", ["small_cap", "large_cap", "mid_cap", ""])
def test_a_file_without_the_newer_columns_is_read_as_before(tmp_path, peer_group):
    """Without flow_group the peer groups of small and large caps are summed, and without in_breadth every instrument counts."""
    text = HEADER + SPY + f"IWM,Russell 2000,fund,small,,{peer_group},,,,SPY,\n" + IWB
    members = {i.symbol: i for i in load_universe(write(tmp_path, text)).instruments}
    assert members["IWM"].flow_group == (peer_group if peer_group in ("small_cap", "large_cap") else None)
    assert all(i.in_breadth for i in members.values())


@pytest.mark.parametrize(
    ("flow_group", "in_breadth", "wanted"),
    [
        ("", "true", (None, True)),
        ("value", "false", ("value", False)),
        ("", "", (None, True)),
        (" small_cap ", "0", ("small_cap", False)),
    ],
)
def test_the_newer_columns_are_taken_as_they_are(tmp_path, flow_group, in_breadth, wanted):
    """A flow group left blank is none, whatever the peer group; in_breadth left blank is true for a fund."""
    rows = [
        "SPY,S&P 500,fund,large,,,,true,,,,,1993-01-29",
        f"IWM,Russell 2000,fund,small,,small_cap,{flow_group},{in_breadth},,,,SPY,",
        "IWB,Russell 1000,fund,large,,,,true,,,,SPY,",
    ]
    members = {i.symbol: i for i in load_universe(write(tmp_path, NEWER_HEADER + "\n".join(rows))).instruments}
    assert (members["IWM"].flow_group, members["IWM"].in_breadth) == wanted


@pytest.mark.parametrize("cut", [12, 30, 45])
def test_a_file_that_ends_within_a_row_is_refused(tmp_path, cut):
    """A row that an interrupted copy cut off is refused: its lost cells were read as blank, and an instrument counted in breadth by default."""
    last = "IWM,Russell 2000,fund,small,,small_cap,small_cap,false,ishares,239710,Russell 2000,SPY,2000-05-22"
    text = NEWER_HEADER + "SPY,S&P 500,fund,large,,,,true,,,,,1993-01-29\n" + last
    refused(write(tmp_path, text[: len(text) - cut]), "mine.csv, line 3", "ends within this row")
    assert "IWM" in load_universe(write(tmp_path, text)).symbols


@pytest.mark.parametrize(
    "row", ['IWM,"Russell 2000,fund,small,,,,,,,,SPY,', 'IWM,"Russell" 2000,fund,small,,,,,,,,SPY,']
)
def test_a_quotation_mark_that_is_not_closed_is_refused(tmp_path, row):
    """It took all rows after it into one cell, so that their instruments were lost without a word."""
    rows = ["SPY,S&P 500,fund,large,,,,true,,,,,1993-01-29", row, "IWB,Russell 1000,fund,large,,,,true,,,,SPY,"]
    refused(write(tmp_path, NEWER_HEADER + "\n".join(rows) + "\n"), "mine.csv, line 3", "quotation mark")
    refused(write(tmp_path, '"symbol,name\nSPY,S&P 500\n'), "mine.csv, line 1", "quotation mark")


def test_a_control_character_ends_no_row(tmp_path):
    """Only a line feed or a carriage return ends a line of CSV; a vertical tab in a name is part of the name."""
    rows = ["SPY,S&P\x0b500,fund,large,,,,true,,,,,1993-01-29", "IWB,Russell\x1c1000,fund,large,,,,true,,,,SPY,"]
    members = load_universe(write(tmp_path, NEWER_HEADER + "\n".join(rows) + "\n")).instruments
    assert [i.name for i in members] == ["S&P\x0b500", "Russell\x1c1000"]


def test_blank_cells_at_the_end_of_a_row_may_be_left_out(tmp_path):
    """A short row that ends with a line break is whole."""
    text = (
        NEWER_HEADER
        + "IWM,Russell 2000,fund,small,,,,,,,,SPY\nIWB,Russell 1000,fund,large,,,,,,,,SPY,\nSPY,S&P 500,fund,large\n"
    )
    assert sorted(load_universe(write(tmp_path, text)).symbols) == ["IWB", "IWM", "SPY"]


def test_in_breadth_is_true_or_false(tmp_path):
    """Anything else is refused with file, line and column."""
    text = NEWER_HEADER + "SPY,S&P 500,fund,large,,,,perhaps,,,,,1993-01-29\n"
    refused(write(tmp_path, text), "mine.csv, line 2", "in_breadth", "perhaps")


@pytest.mark.parametrize(
    ("symbols", "field", "values"),
    [
        (SECTORS, "kind", {"sector"}),
        (SEVEN, "kind", {"stock"}),
        (LADDER, "kind", {"fund"}),
        ("SPY IVV VOO IWB RSP", "size_bucket", {"large"}),
        (f"QQQ MAGS {SEVEN}", "size_bucket", {"mega"}),
        ("MDY", "size_bucket", {"mid"}),
        ("IWM VTWO IJR SPSM VB", "size_bucket", {"small"}),
        ("IWM VTWO IJR SPSM VB", "peer_group", {"small_cap"}),
        ("SPY IVV VOO IWB", "peer_group", {"large_cap"}),
        ("IWC", "size_bucket", {"micro"}),
        ("SPY", "benchmark", {None}),
    ],
)
def test_the_shipped_rows_say_what_they_are(symbols, field, values):
    """The size ladder, the sectors and the seven stocks carry the kind, size and group that the contract gives them."""
    by_symbol = {i.symbol: i for i in load_universe().instruments}
    assert {getattr(by_symbol[symbol], field) for symbol in symbols.split()} == values


def test_every_shipped_row_that_counts_is_measured_against_spy():
    """SPY is the only benchmark, of all but itself, the context and funds followed for their flows; eleven sectors are distinct, and every inception is known."""
    members = load_universe()
    assert {i.benchmark for i in members.instruments} == {"SPY", None}
    assert [i.symbol for i in members.instruments if i.benchmark is None] == [
        i.symbol for i in members.instruments if i.symbol in ("SPY", *CONTEXT.split(), *FLOWS.split())
    ]
    assert len({i.sector for i in members.instruments if i.kind == "sector"}) == 11
    assert all(i.inception for i in members.instruments)


def test_the_shipped_pairs_are_the_contracts():
    """Exactly the pairs promised are followed, in their order, and IWM/IWB alone is the headline."""
    assert pair_names() == PAIRS
    assert [p.headline for p in load_universe().pairs] == [True] + [False] * 8


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(HEADER + SPY + IWM + IWM, ["symbol IWM", "more than once"], id="duplicate symbol"),
        pytest.param(HEADER.replace("issuer_id", "isin") + SPY, ["unknown column 'isin'"], id="unknown column"),
        pytest.param(HEADER.replace(",sector", "") + SPY, ["column 'sector' is missing"], id="missing column"),
        pytest.param(HEADER.replace("name", "name,name", 1) + SPY, ["column name", "once"], id="column twice"),
        pytest.param("", ["empty", "symbol,name,kind"], id="empty file"),
        pytest.param(HEADER, ["header but no rows"], id="header only"),
        pytest.param(HEADER + IWM, ["benchmark SPY of IWM"], id="missing benchmark"),
        pytest.param(HEADER + SPY, ["no row names a benchmark"], id="no benchmark"),
        pytest.param(
            HEADER + SPY + IWM.replace(",\n", ",2000-13-26\n"), ["line 3", "inception", "2000-13-26"], id="bad date"
        ),
        pytest.param(
            HEADER + SPY + IWM.replace(",\n", ",20000526\n"),
            ["line 3", "inception", "20000526", "write it as 2005-01-03"],
            id="date without dashes",
        ),
        pytest.param(HEADER + SPY + IWM.replace(",\n", ",-0\n"), ["line 3", "inception", "-0"], id="number for a date"),
        pytest.param(HEADER + SPY + IWM.strip() + ",more\n", ["line 3", "too many fields"], id="too many fields"),
        pytest.param(HEADER + SPY + "IWM\n", ["line 3", "name"], id="too few fields"),
        pytest.param(HEADER + SPY.replace("fund", "bond"), ["line 2", "kind", "'bond'"], id="bad kind"),
        pytest.param(HEADER + SPY.replace("large", "huge"), ["line 2", "size_bucket", "'huge'"], id="bad size"),
        pytest.param(HEADER + SPY + IWM.lower(), ["line 3", "symbol", "'iwm'"], id="lower-case symbol"),
        pytest.param(HEADER + SPY + IWM.replace("IWM", ""), ["line 3", "symbol"], id="blank symbol"),
        pytest.param(HEADER + SPY + XLK.replace("technology", ""), ["XLK", "names no sector"], id="no sector"),
        pytest.param(HEADER + SPY + XLK + XLK.replace("XLK", "VGT"), ["technology", "once"], id="sector twice"),
        pytest.param((HEADER + SPY + IWM).encode() + b"\xe9\n", ["UTF-8"], id="not UTF-8"),
        pytest.param(HEADER + SPY + 'IWM,"' + "x" * 200_000, [], id="a quote that is never closed"),
    ],
)
def test_each_fault_is_one_sentence(tmp_path, text, parts):
    """A faulty universe is refused in one sentence that names the file, the fault and, if there is one, the line."""
    path = write(tmp_path, text)
    refused(path, str(path), *parts)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    """A universe that is not there, or is a folder, is refused by name."""
    for path in (tmp_path / "none.csv", tmp_path):
        refused(path, str(path), "cannot be read")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"\xef\xbb\xbf" + (HEADER + SPY + IWM).encode(), id="byte order mark"),
        pytest.param((HEADER + SPY + IWM).replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(HEADER + SPY + IWM.strip(), id="no last line end"),
        pytest.param(HEADER + "\n" + SPY + "\n" + IWM + "\n\n", id="blank lines"),
        pytest.param((HEADER + SPY + IWM).replace(",", " , "), id="blanks around fields"),
    ],
)
def test_what_spreadsheets_write_is_accepted(tmp_path, text):
    """A byte order mark, Windows line ends, blank lines and blanks around fields make no difference."""
    members = load_universe(write(tmp_path, text))
    assert members.symbols == ["SPY", "IWM"]
    assert members.instruments[0].inception == date(1993, 1, 29)
    assert members.instruments[1].inception is None
    assert members.instruments[1].benchmark == "SPY"


def test_columns_may_come_in_any_order(tmp_path):
    """Fields are found by the name of their column."""
    text = "inception,benchmark,index_name,issuer_id,issuer,peer_group,sector,size_bucket,kind,name,symbol\n"
    text += ",,,,,,,large,fund,S,SPY\n,SPY,,,,,,small,fund,R,IWM\n"
    assert load_universe(write(tmp_path, text)).symbols == ["SPY", "IWM"]


@pytest.mark.parametrize(
    ("pairs", "parts"),
    [
        pytest.param(
            "IWM,IWB,true,false\nIWC,IWB,false,false\n", ["IWC", "IWC/IWB", "not in the universe"], id="unknown leg"
        ),
        pytest.param(
            "IWM,IWB,true,false\nIWM,IWB,false,false\n", ["pair IWM/IWB", "more than once"], id="duplicate pair"
        ),
        pytest.param("IWM,IWB,false,false\n", ["0 pairs", "exactly one"], id="no headline"),
        pytest.param("IWM,IWB,true,false\nIWM,SPY,true,false\n", ["2 pairs", "exactly one"], id="two headlines"),
        pytest.param("IWM,IWB,perhaps,false\n", ["line 2", "headline", "perhaps"], id="headline not a boolean"),
        pytest.param("", ["header but no rows"], id="no pairs"),
    ],
)
def test_each_fault_in_own_pairs_is_one_sentence(tmp_path, pairs, parts):
    """A faulty pairs.csv beside one's own universe is refused in one sentence that names pairs.csv."""
    path = write(tmp_path, HEADER + SPY + IWM + IWB, PAIR_HEADER + pairs)
    refused(path, str(tmp_path / "pairs.csv"), *parts)


def test_own_pairs_replace_the_shipped_ones(tmp_path):
    """A good pairs.csv beside one's own universe is what is followed."""
    path = write(tmp_path, HEADER + SPY + IWM + IWB, PAIR_HEADER + "IWM,SPY,true,false\nIWB,SPY,false,false\n")
    assert pair_names(path) == ["IWM/SPY", "IWB/SPY"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(SPY + IWM, []), (SPY + IWM + IWB, ["IWM/IWB"]), (SPY + IWM.replace("IWM", "IJR"), ["IJR/SPY"])],
)
def test_without_own_pairs_the_shipped_ones_with_both_legs_known(tmp_path, rows, expected):
    """Without a pairs.csv of one's own, those shipped pairs are followed whose both legs are in the universe."""
    assert pair_names(write(tmp_path, HEADER + rows)) == expected


INDEX = "^VIX,Volatility,index,,,volatility,,false,,,,,1990-01-02\n"
SMALL = "SPY,S&P 500,fund,large,,,,true,,,,,1993-01-29\nIWM,Russell 2000,fund,small,,,,true,,,,SPY,\nIWB,R1,fund,large,,,,true,,,,SPY,\n"


@pytest.mark.parametrize("symbol", ["^TNX", "^VIX", "DX-Y.NYB", "BRK-B", "EURUSD=X"])
def test_symbols_as_yahoo_writes_them(tmp_path, symbol):
    """A symbol may begin with a caret, and hold a dot, a hyphen and an equals sign."""
    row = INDEX.replace("^VIX", symbol)
    assert symbol in load_universe(write(tmp_path, NEWER_HEADER + SMALL + row)).symbols


def test_an_index_is_counted_nowhere(tmp_path):
    """An index left blank in in_breadth is not counted, and does not lengthen the calendar, however old it is."""
    members = load_universe(write(tmp_path, NEWER_HEADER + SMALL + INDEX.replace("false", "").replace("1990", "1890")))
    assert [i.symbol for i in members.instruments if not i.in_breadth] == ["^VIX"]
    assert members.first_day(date(2005, 1, 3)) == date(1993, 1, 29)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (SMALL + INDEX.replace("false", "true"), ["the index ^VIX is counted or measured", "set in_breadth to false"]),
        (SMALL + INDEX.replace(",,,,,1990", ",,,,SPY,1990").replace(",,,,,SPY", ",,,,SPY"), ["the index ^VIX is counted or measured"]),
        (SMALL.replace("true,,,,SPY,\nIWB", "true,,,,^VIX,\nIWB") + INDEX, ["IWM has the index ^VIX as its benchmark", "name a fund"]),
    ],
)  # fmt: skip
def test_an_index_is_neither_measured_nor_a_measure(tmp_path, text, parts):
    """An index in breadth, with a benchmark, or as a benchmark is refused."""
    refused(write(tmp_path, NEWER_HEADER + text), *parts)


def test_an_index_is_no_leg_of_a_pair(tmp_path):
    """A pair with an index is refused: it has no total return."""
    path = write(tmp_path, NEWER_HEADER + SMALL + INDEX)
    (path.parent / "pairs.csv").write_text("small_symbol,large_symbol,headline,earnings\nIWM,^VIX,true,false\n")
    refused(path, "^VIX is an index, which has no total return")
