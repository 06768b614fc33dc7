-- signals.fund_overlap: how much of two small-cap funds is the same, by their holdings.
-- grain: symbol, other_symbol, as_of
-- sources: core.instruments, core.holdings
-- lookback: all; the last file of each fund on or before as_of
-- null: never
-- formula: overlap = 100 x sum over the companies that both hold of the lower of the two weights, each of a fund's holdings with a ticker together
--   being 1. Each two funds are there twice, either way round
-- columns:
--   symbol: ticker
--   other_symbol: ticker of the fund it is compared with
--   as_of: date of a file of either fund, from the first on which both have one
--   overlap_weight_pct: percent of the funds' weight that both hold; 100 = the same fund
--   common_holdings: companies that both hold
with files as (
    select distinct h.fund_symbol as symbol, h.as_of
    from core.holdings as h
    semi join (from core.instruments where peer_group = 'small_cap') as i on i.symbol = h.fund_symbol
),

-- Of two lines of one company, such as share classes of one ticker, the weights are added up.
weighted as (
    select fund_symbol as symbol, as_of, symbol as company, sum(weight order by weight) as weight
    from core.holdings
    where symbol is not null and weight > 0
    group by all
),

-- A sum of doubles differs in its last digits with the order of its rows.
shares as (
    select w.symbol, w.as_of, w.company, w.weight / t.weight as weight
    from weighted as w
    join (select symbol, as_of, sum(weight order by company) as weight from weighted group by all) as t using (symbol, as_of)
    semi join files as f on f.symbol = w.symbol and f.as_of = w.as_of
),

days as (
    select distinct a.symbol, b.symbol as other_symbol, d.as_of
    from (select distinct symbol from files) as a
    join (select distinct symbol from files) as b on b.symbol > a.symbol
    join files as d on d.symbol in (a.symbol, b.symbol)
),

-- Until both have a file, one of the two dates is NULL.
compared as (
    select
        d.symbol,
        d.other_symbol,
        d.as_of,
        max(f.as_of) filter (f.symbol = d.symbol) as own_as_of,
        max(f.as_of) filter (f.symbol = d.other_symbol) as other_as_of
    from days as d
    join files as f on f.symbol in (d.symbol, d.other_symbol) and f.as_of <= d.as_of
    group by all
    having own_as_of is not null and other_as_of is not null
),

common as (
    select c.symbol, c.other_symbol, c.own_as_of, c.other_as_of, a.company, least(a.weight, b.weight) as weight
    from compared as c
    join shares as a on a.symbol = c.symbol and a.as_of = c.own_as_of
    join shares as b on b.symbol = c.other_symbol and b.as_of = c.other_as_of and b.company = a.company
),

summed as (
    select
        c.symbol,
        c.other_symbol,
        c.as_of,
        coalesce(100 * sum(o.weight order by o.company), 0) as overlap_weight_pct,
        count(o.weight) as common_holdings
    from compared as c
    left join common as o
        on o.symbol = c.symbol and o.own_as_of = c.own_as_of and o.other_symbol = c.other_symbol and o.other_as_of = c.other_as_of
    group by all
)

select symbol, other_symbol, as_of, overlap_weight_pct, common_holdings from summed
union all
select other_symbol, symbol, as_of, overlap_weight_pct, common_holdings from summed
order by symbol, other_symbol, as_of
