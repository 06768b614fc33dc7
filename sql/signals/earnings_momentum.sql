-- signals.earnings_momentum: expected earnings growth of small against large companies, from the first session on which both are known.
-- grain: session
-- sources: core.pairs, core.holdings, core.earnings_growth, core.sessions
-- lookback: all; an estimate counts for 20 sessions, a holdings file until the next
-- null: growth of a side none of whose companies counts, or whose companies together earn nothing in the base year; gap where either is; median of
--   a side without a company that earns something in the base year; revision breadth of a side without an estimate of the last 20 sessions
-- formula: growth of a side = aggregate earnings per share / aggregate earnings per share of the year before - 1, each the sum over its companies
--   of shares x earnings per share, shares = weight / price. It is computed as median + sum(influence), which is the same, with influence = shares
--   x (eps - (1 + median) x eps a year before) / aggregate of the year before. Of a company whose earnings per share more than double or more
--   than halve, or that had none, the influence is limited to 1.5 points either way: from next to nothing growth is any number.
--   Both sides are for the same calendar year, the one of which more than half lies ahead (from July on the next). A company's earnings of 12
--   months that end on day T lie on the line between its fiscal years: eps(T) = eps(P) + (eps(Q) - eps(P)) x (T - P) / (Q - P), P and Q the fiscal
--   year ends around T. T = last day of the calendar year, or the nearest day for which eps(T) and eps(T - 1 year) are known. A company counts where
--   that is at most 184 days away, both are known and it has a price. The fiscal year before eps_year_ago is that of the last snapshot of the
--   previous fiscal year, if the two snapshots agree on the year that both name to within 40 % (else a split lies between them).
--   coverage = 100 x weight of the companies that count / weight of all. median over companies with eps a year before > 0. revision breadth = share
--   of companies with more estimates raised than lowered in 30 days - share with more lowered. The funds are the legs of the pair marked
--   earnings in the pairs file
-- columns:
--   session: XNYS trading date
--   period_end: last day of the calendar year that growth is of, over the year before
--   small_growth_next_year: fraction, aggregate earnings of the small fund's companies
--   large_growth_next_year: fraction, aggregate earnings of the large fund's companies
--   gap: small less large
--   small_coverage_pct: percent of the small fund's weight that counts
--   large_coverage_pct: percent of the large fund's weight that counts
--   small_median: fraction, median growth of the small fund's companies
--   large_median: fraction, median growth of the large fund's companies
--   small_revision_breadth: from -1 (all lowered) to 1 (all raised), the small fund's companies
--   large_revision_breadth: from -1 (all lowered) to 1 (all raised), the large fund's companies
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

snapshots as (
    select e.*, s.session_number, (e.period_end_current_year - interval 1 year)::date as period_end_year_ago
    from core.earnings_growth as e
    asof join core.sessions as s on s.session <= e.as_of
),

-- With the year that the last snapshot before the change of fiscal year began with, nothing jumps on the day of the change.
histories as (
    select
        e.*,
        case when e.eps_year_ago / nullif(p.eps_current_year, 0) between 1 / 1.4 and 1.4 then p.eps_year_ago end as eps_two_years_ago
    from snapshots as e
    asof left join snapshots as p
        on p.symbol = e.symbol and p.period_end_next_year = e.period_end_current_year and p.as_of < e.as_of
),

constituents as (
    select
        c.session, c.session_number, c.side, h.symbol, h.weight,
        make_date(year(c.session + interval 6 months), 12, 31) as period_end
    from current_files as c
    join core.holdings as h on h.fund_symbol = c.fund_symbol and h.as_of = c.as_of
    where h.symbol is not null
        and c.session >= (select min(as_of) from core.earnings_growth)
),

-- The last snapshot alone decides: one that is too old, or says nothing, is not replaced by the one before.
estimated as (
    select
        c.session, c.side, c.symbol, c.weight, c.period_end,
        h.* exclude (symbol, session_number),
        h.session_number > c.session_number - 20 as is_fresh,
        greatest(
            case when h.eps_two_years_ago is null then h.period_end_current_year else h.period_end_year_ago end,
            least(c.period_end, h.period_end_next_year)
        ) as window_end
    from constituents as c
    asof left join histories as h on h.symbol = c.symbol and h.as_of <= c.session
),

positioned as (
    select
        *,
        window_end >= period_end_current_year as is_after_current_year,
        case
            when is_after_current_year
                then (window_end - period_end_current_year) / nullif(period_end_next_year - period_end_current_year, 0)
            else (window_end - period_end_year_ago) / (period_end_current_year - period_end_year_ago)
        end as part
    from estimated
),

calendarised as (
    select
        session, side, symbol, weight, period_end,
        is_fresh and abs(window_end - period_end) <= 184 and price > 0 as is_usable,
        case
            when is_after_current_year then eps_current_year + part * (eps_next_year - eps_current_year)
            else eps_year_ago + part * (eps_current_year - eps_year_ago)
        end as eps,
        case
            when is_after_current_year then eps_year_ago + part * (eps_current_year - eps_year_ago)
            else eps_two_years_ago + part * (eps_year_ago - eps_two_years_ago)
        end as eps_before,
        weight / price as shares,
        case when is_fresh then sign(revisions_up_30d - revisions_down_30d) end as revision
    from positioned
),

counted as (
    select *, coalesce(is_usable and eps is not null and eps_before is not null, false) as is_counted
    from calendarised
),

totals as (
    select
        session,
        side,
        any_value(period_end) as period_end,
        sum(shares * eps_before order by symbol) filter (is_counted) as earnings_before,
        median(eps / eps_before - 1) filter (is_counted and eps_before > 0) as median_growth,
        100 * coalesce(sum(weight order by symbol) filter (is_counted), 0) / sum(weight order by symbol) as coverage_pct,
        avg(revision) as revision_breadth
    from counted
    group by session, side
),

influences as (
    select
        t.session,
        t.side,
        c.symbol,
        c.shares * (c.eps - (1 + t.median_growth) * c.eps_before) / t.earnings_before as unlimited,
        case
            when c.eps between 0.5 * c.eps_before and 2 * c.eps_before then unlimited
            else greatest(-0.015, least(0.015, unlimited))
        end as influence
    from totals as t
    join counted as c on c.session = t.session and c.side = t.side and c.is_counted
    where t.earnings_before > 0
),

summed as (
    select session, side, sum(influence order by symbol) as influence
    from influences
    group by session, side
),

grown as (
    select t.*, t.median_growth + i.influence as growth
    from totals as t
    left join summed as i on i.session = t.session and i.side = t.side
)

select
    small.session,
    small.period_end,
    small.growth as small_growth_next_year,
    large.growth as large_growth_next_year,
    small.growth - large.growth as gap,
    small.coverage_pct as small_coverage_pct,
    large.coverage_pct as large_coverage_pct,
    small.median_growth as small_median,
    large.median_growth as large_median,
    small.revision_breadth as small_revision_breadth,
    large.revision_breadth as large_revision_breadth
from grown as small
join grown as large on large.session = small.session and large.side = 'large'
where small.side = 'small'
order by small.session
