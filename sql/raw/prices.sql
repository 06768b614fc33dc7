-- raw.prices: every version of every daily bar, as delivered by the vendor. Append-only.
-- grain: symbol, session, known_at
-- sources: stage.prices
-- lookback: none
-- null: open, high, low, volume and vendor_adj_close where the vendor has none; all values of a withdrawn bar
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   open: USD per share, adjusted for splits known at known_at
--   high: USD per share, adjusted for splits known at known_at
--   low: USD per share, adjusted for splits known at known_at
--   close: USD per share, adjusted for splits known at known_at, not for dividends
--   volume: shares, adjusted for splits known at known_at
--   dividend: USD per share on the ex-date, 0 = none
--   capital_gain: USD per share on the ex-date, 0 = none
--   split_ratio: new shares per old share on the session it takes effect, 1 = none
--   vendor_adj_close: the vendor's own dividend-adjusted close; its scale is that of known_at
--   is_withdrawn: the vendor, no longer delivers this bar in its full history
--   source: adapter that fetched it
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.prices (
    symbol varchar not null,
    session date not null,
    open double,
    high double,
    low double,
    close double,
    volume bigint,
    dividend double,
    capital_gain double,
    split_ratio double,
    vendor_adj_close double,
    is_withdrawn boolean not null,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.prices by name
select
    symbol, session, open, high, low, close, volume, dividend, capital_gain, split_ratio, vendor_adj_close, is_withdrawn,
    source,
    getvariable('known_at') as known_at,
    getvariable('run_id') as run_id
from stage.prices
order by symbol, session;
