-- signals.earnings_momentum: expected earnings growth of small against large companies, from the first session on which both are known.
-- grain: session
-- sources: core.pairs, core.holdings, core.earnings_growth, core.sessions
-- lookback: all; an estimate counts for 20 sessions, a holdings file until the next
-- null: growth of a side none of whose companies has an estimate of the last 20 sessions; gap where either is
-- formula: growth = sum(weight x growth_next_year) / sum(weight) over the constituents with an estimate; coverage = 100 x their weight / the
--   weight of all constituents. The funds are the legs of the pair marked earnings in the pairs file
-- columns:
--   session: XNYS trading date
--   small_growth_next_year: fraction, weighted mean of the small fund's constituents
--   large_growth_next_year: fraction, weighted mean of the large fund's constituents
--   gap: small less large
--   small_coverage_pct: percent of the small fund's weight that has an estimate
--   large_coverage_pct: percent of the large fund's weight that has an estimate
with sides as (
    select 'small' as side, small_symbol as fund_symbol from core.pairs where earnings
    union all
    select 'large' as side, large_symbol as fund_symbol from core.pairs where earnings
),

files as (
    select distinct fund_symbol, as_of from core.holdings semi join sides using (fund_symbol)
),

-- The last holdings file on or before each session.
current_files as (
    select s.session, s.session_number, d.side, d.fund_symbol, f.as_of
    from core.sessions as s
    cross join sides as d
    asof join files as f on f.fund_symbol = d.fund_symbol and f.as_of <= s.session
),

estimates as (
    select e.symbol, e.as_of, e.growth_next_year, s.session_number
    from core.earnings_growth as e
    asof join core.sessions as s on s.session <= e.as_of
),

constituents as (
    select c.session, c.session_number, c.side, h.symbol, h.weight
    from current_files as c
    join core.holdings as h on h.fund_symbol = c.fund_symbol and h.as_of = c.as_of
    where h.symbol is not null
        and c.session >= (select min(as_of) from core.earnings_growth)
),

estimated as (
    select
        c.side, c.session, c.symbol, c.weight,
        case when e.session_number > c.session_number - 20 then e.growth_next_year end as growth
    from constituents as c
    asof left join estimates as e on e.symbol = c.symbol and e.as_of <= c.session
),

averaged as (
    select
        session,
        side,
        sum(weight * growth order by symbol) / nullif(sum(weight order by symbol) filter (growth is not null), 0) as growth,
        100 * coalesce(sum(weight order by symbol) filter (growth is not null), 0) / sum(weight order by symbol) as coverage_pct
    from estimated
    group by session, side
)

select
    small.session,
    small.growth as small_growth_next_year,
    large.growth as large_growth_next_year,
    small.growth - large.growth as gap,
    small.coverage_pct as small_coverage_pct,
    large.coverage_pct as large_coverage_pct
from averaged as small
join averaged as large on large.session = small.session and large.side = 'large'
where small.side = 'small'
order by small.session
