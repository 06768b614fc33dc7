-- signals.constituent_breadth: how many of a fund's constituents are in an uptrend, from the fund's first holdings file on.
-- grain: fund_symbol, session
-- sources: core.holdings, core.prices, core.sessions, fn.difference_beyond_rounding
-- lookback: 252 rows; the holdings file of the session
-- incremental: by session; a mean over 50 or 200 rows is only compared, and the last digits, which depend on the rows around, do not matter
-- null: above_50d_pct, above_200d_pct, at_high_52w_pct and at_low_52w_pct where the constituents that they count hold under 80 % of the
--   fund's weight; so it is unless the fund's constituents are in the universe
-- formula: the holdings are those of the last file dated on or before the session. A constituent counts where it has a price that session and a
--   full window: 50 or 200 rows of the total-return index, 252 rows of the close. above = the index is higher than its mean over the window;
--   equal to it within 1e-12 is not above. At a high (low) = no close of the window is higher (lower).
--   Covered weight = 100 x weight of the constituents that count / weight of all holdings with a positive weight
-- columns:
--   fund_symbol: ticker of the fund
--   session: XNYS trading date
--   holdings_as_of: date of the holdings file
--   constituents: holdings of the file with a ticker
--   priced_weight_pct: percent of the fund's weight with a price that session
--   covered_weight_50d_pct: percent of the fund's weight that above_50d_pct counts
--   covered_weight_200d_pct: percent of the fund's weight that above_200d_pct counts
--   covered_weight_52w_pct: percent of the fund's weight that at_high_52w_pct and at_low_52w_pct count
--   above_50d_pct: percent of the counted constituents above their 50-session mean
--   above_200d_pct: percent of the counted constituents above their 200-session mean
--   at_high_52w_pct: percent of the counted constituents at a 52-week high of the close
--   at_low_52w_pct: percent of the counted constituents at a 52-week low of the close
with files as (
    select fund_symbol, as_of, count(distinct symbol) as constituents, sum(weight order by rank) as weight
    from core.holdings
    where weight > 0
    group by fund_symbol, as_of
),

-- The last holdings file on or before each session.
current_files as (
    select s.session, f.fund_symbol, f.as_of, f.constituents, f.weight
    from core.sessions as s
    cross join (select distinct fund_symbol from files) as d
    asof join files as f on f.fund_symbol = d.fund_symbol and f.as_of <= s.session
),

-- A company with two lines in a file, such as two classes that share a ticker, counts once.
constituents as (
    select fund_symbol, as_of, symbol, sum(weight order by rank) as weight
    from core.holdings
    where symbol is not null and weight > 0
    group by fund_symbol, as_of, symbol
),

windowed as (
    select
        p.symbol,
        p.session,
        case
            when count(p.total_return_index) over last_50 = 50
                then fn.difference_beyond_rounding(p.total_return_index, avg(p.total_return_index) over last_50)
        end as over_mean_50d,
        case
            when count(p.total_return_index) over last_200 = 200
                then fn.difference_beyond_rounding(p.total_return_index, avg(p.total_return_index) over last_200)
        end as over_mean_200d,
        case when count(p.close) over last_252 = 252 then p.close = max(p.close) over last_252 end as is_at_high_52w,
        case when count(p.close) over last_252 = 252 then p.close = min(p.close) over last_252 end as is_at_low_52w
    from core.prices as p
    semi join constituents as c on c.symbol = p.symbol
    window
        last_50 as (partition by p.symbol order by p.session rows 49 preceding),
        last_200 as (partition by p.symbol order by p.session rows 199 preceding),
        last_252 as (partition by p.symbol order by p.session rows 251 preceding)
),

counted as (
    select
        f.session,
        f.fund_symbol,
        sum(c.weight order by c.symbol) as weight_priced,
        sum(c.weight order by c.symbol) filter (w.over_mean_50d is not null) as weight_50d,
        sum(c.weight order by c.symbol) filter (w.over_mean_200d is not null) as weight_200d,
        sum(c.weight order by c.symbol) filter (w.is_at_high_52w is not null) as weight_52w,
        100.0 * count(*) filter (w.over_mean_50d > 0) / nullif(count(w.over_mean_50d), 0) as above_50d_pct,
        100.0 * count(*) filter (w.over_mean_200d > 0) / nullif(count(w.over_mean_200d), 0) as above_200d_pct,
        100.0 * count(*) filter (w.is_at_high_52w) / nullif(count(w.is_at_high_52w), 0) as at_high_52w_pct,
        100.0 * count(*) filter (w.is_at_low_52w) / nullif(count(w.is_at_low_52w), 0) as at_low_52w_pct
    from current_files as f
    join constituents as c on c.fund_symbol = f.fund_symbol and c.as_of = f.as_of
    join windowed as w on w.symbol = c.symbol and w.session = f.session
    group by f.session, f.fund_symbol
),

covered as (
    select
        f.session,
        f.fund_symbol,
        f.as_of,
        f.constituents,
        100 * coalesce(c.weight_priced, 0) / f.weight as priced_weight_pct,
        100 * coalesce(c.weight_50d, 0) / f.weight as covered_weight_50d_pct,
        100 * coalesce(c.weight_200d, 0) / f.weight as covered_weight_200d_pct,
        100 * coalesce(c.weight_52w, 0) / f.weight as covered_weight_52w_pct,
        c.* exclude (session, fund_symbol)
    from current_files as f
    left join counted as c on c.session = f.session and c.fund_symbol = f.fund_symbol
)

select
    fund_symbol,
    session,
    as_of as holdings_as_of,
    constituents,
    priced_weight_pct,
    covered_weight_50d_pct,
    covered_weight_200d_pct,
    covered_weight_52w_pct,
    case when covered_weight_50d_pct >= 80 then above_50d_pct end as above_50d_pct,
    case when covered_weight_200d_pct >= 80 then above_200d_pct end as above_200d_pct,
    case when covered_weight_52w_pct >= 80 then at_high_52w_pct end as at_high_52w_pct,
    case when covered_weight_52w_pct >= 80 then at_low_52w_pct end as at_low_52w_pct
from covered
order by fund_symbol, session
