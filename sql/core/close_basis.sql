-- core.close_basis: whether the closes of each fund are plain prices, or were adjusted for distributions by the vendor.
-- grain: symbol, session
-- sources: core.prices, core.instruments, core.fund_nav, fn.log_or_null
-- lookback: 378 rows
-- null: premium_pct without a NAV of the session; premium_21d_pct with fewer than 11 of them in 21 rows; premium_change_12m_pct as well, or
--   without such a median 252 rows before; distributions where none is stated by either
-- formula: adjusted closes are lower than they were by all distributions since, so that close / NAV rises by the yield of the fund (1.2 % a year
--   for IWM), where that of plain closes stays. A change of the median premium of more than half of the distributions of the year, and of more
--   than 0.25 percentage points, is such a rise. Only rows up to the session count, so later data never changes a row
-- columns:
--   symbol: ticker of the fund
--   session: XNYS trading date
--   basis: unadjusted; adjusted, where close / NAV rises with the distributions; differs from NAV, where the median premium of 21 rows is beyond 1 %
--     (3 % where the closes come with distributions); distributions missing, where the issuer states distributions that the closes come without, and less
--     than a year of NAV to compare with; no distributions, where no NAV and no distribution is known in 378 rows: a fund that pays has four to six in them; not known, without either
--     in fewer rows
--   premium_pct: percent by which the close is above NAV, both on one basis of splits, whatever the basis of the close
--   premium_21d_pct: median of it over 21 rows
--   premium_change_12m_pct: percentage points by which that differs from 252 rows before
--   distributions_12m_pct: percent of NAV, the sum over 252 rows, of the vendor or the issuer, whichever states more
--   distributions_18m: distributions that the closes come with, in 378 rows
--   source: adapter the closes came from
with bars as (
    select
        p.symbol,
        p.session,
        p.close,
        p.source,
        p.dividend,
        n.nav,
        n.distribution,
        -- NAVs are on the split basis of their day, and closes on that of now; some issuers restate theirs.
        p.close * coalesce(product(p.split_ratio) over later, 1) as close_as_traded
    from core.prices as p
    semi join (from core.instruments where kind in ('fund', 'sector')) as i on i.symbol = p.symbol
    left join core.fund_nav as n on n.symbol = p.symbol and n.session = p.session and n.nav > 0
    window later as (partition by p.symbol order by p.session desc rows between unbounded preceding and 1 preceding)
),

premiums as (
    select
        *,
        100 * (
            case when abs(fn.log_or_null(close_as_traded / nav)) < abs(fn.log_or_null(close / nav)) then close_as_traded else close end / nav - 1
        ) as premium_pct
    from bars
),

usual as (
    select
        *,
        median(premium_pct) over last_21 as level_pct,
        case when count(premium_pct) over last_21 >= 11 then median(premium_pct) over last_21 end as premium_21d_pct,
        count(*) filter (dividend > 0) over last_378 as distributions_18m,
        count(*) filter (distribution > 0) over last_378 as issuer_distributions_18m,
        count(nav) over last_378 as navs_18m,
        count(*) over last_378 = 378 as is_full,
        100 * greatest(sum(dividend / close) over last_252, sum(distribution / nav) over last_252) as distributions_12m_pct
    from premiums
    window
        last_21 as (partition by symbol order by session rows 20 preceding),
        last_252 as (partition by symbol order by session rows 251 preceding),
        last_378 as (partition by symbol order by session rows 377 preceding)
),

changed as (
    select
        *,
        premium_21d_pct - first(premium_21d_pct) over (
            partition by symbol order by session rows between 252 preceding and 252 preceding
        ) as premium_change_12m_pct
    from usual
)

select
    symbol,
    session,
    case
        when premium_change_12m_pct > greatest(0.25, coalesce(distributions_12m_pct, 0) / 2) then 'adjusted'
        when abs(level_pct) > case when distributions_18m > 0 then 3 else 1 end then 'differs from NAV'
        when distributions_18m > 0 or premium_change_12m_pct is not null then 'unadjusted'
        when issuer_distributions_18m > 0 then 'distributions missing'
        when navs_18m > 0 then 'unadjusted'
        when is_full then 'no distributions'
        else 'not known'
    end as basis,
    premium_pct,
    premium_21d_pct,
    premium_change_12m_pct,
    distributions_12m_pct,
    distributions_18m,
    source
from changed
order by symbol, session
