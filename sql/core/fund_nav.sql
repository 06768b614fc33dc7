-- core.fund_nav: NAV, shares outstanding and assets of funds, session by session.
-- grain: symbol, session
-- sources: fn.fund_nav_known_at, fn.log_or_null, core.sessions, core.instruments, core.prices
-- lookback: 12 rows; the 11 records before, each compared with the one before it
-- null: values that are not published; shares_outstanding and total_net_assets_usd where the published count is not possible (is_suspect) and,
--   for counts derived from assets, where the assets did not change since the record before, since there is no new information
-- formula: shares = assets / NAV where a vendor gives no count. A count is suspect that differs by a factor of 1.7 or more from the median
--   of the 11 records before it, all on one split basis: on IWM 2000-2026 that finds the nine impossible counts of the issuer and nothing
--   else. Only earlier records count, so later data never changes a row. A record that is not on a session
--   is left out
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   nav: USD per share, as published
--   shares_outstanding: shares, as published
--   total_net_assets_usd: USD, as published, else NAV x shares
--   distribution: USD per share on the ex-date
--   split_ratio: new shares per old share against the record before; 1 = none, also where the issuer restated its history
--   is_suspect: the published share count is not possible
--   is_stale: the count is derived from assets, and they are those of the record before
--   published_shares_outstanding: the count as published, before the check
--   source: issuer or vendor that published it
--   known_at: when this version was fetched
--   run_id: run that added this version
with splits_so_far as (
    select symbol, session, product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as split_factor
    from core.prices
),

records as (
    select
        k.*,
        coalesce(k.shares_outstanding, k.total_net_assets_usd / nullif(k.nav, 0)) as shares,
        -- Of all splits since the record before, should sessions be missing in between. Rounded, as a quotient of products.
        coalesce(round(p.split_factor / lag(p.split_factor) over by_session, 9), 1) as announced_ratio,
        lag(k.nav) over by_session as previous_nav,
        lag(shares) over by_session as previous_shares,
        p.symbol is null as is_before_prices,
        k.shares_outstanding is null
            and k.total_net_assets_usd is not distinct from lag(k.total_net_assets_usd) over by_session as is_stale
    from fn.fund_nav_known_at('infinity'::timestamptz) as k
    semi join core.sessions as s on s.session = k.session
    semi join core.instruments as i on i.symbol = k.symbol
    asof left join splits_so_far as p on p.symbol = k.symbol and p.session <= k.session
    window by_session as (partition by k.symbol order by k.session)
),

-- Before the first price a split is seen in the record alone: the count rises by a whole number, and NAV falls by it.
seen as (
    select
        * replace (
            case
                when is_before_prices and round(previous_nav / nullif(nav, 0)) >= 2
                    and abs(fn.log_or_null(nav * round(previous_nav / nullif(nav, 0)) / previous_nav)) < 0.1
                    and abs(fn.log_or_null(shares / (previous_shares * round(previous_nav / nullif(nav, 0))))) < 0.1
                    then round(previous_nav / nullif(nav, 0))
                else announced_ratio
            end as announced_ratio
        )
    from records
),

-- The ratio counts where NAV fell by it. An issuer that restates its history at a split shows no fall.
split as (
    select
        *,
        case
            when abs(fn.log_or_null(nav * announced_ratio / previous_nav)) < abs(fn.log_or_null(nav / previous_nav)) then announced_ratio
            else 1
        end as split_ratio
    from seen
),

on_one_basis as (
    select
        *,
        case when not is_stale then shares end
            / product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as comparable_shares
    from split
),

compared as (
    select
        *,
        case when count(comparable_shares) over before_it = 11 then median(comparable_shares) over before_it end as usual_shares
    from on_one_basis
    window before_it as (partition by symbol order by session rows between 11 preceding and 1 preceding)
),

judged as (
    select
        *,
        coalesce(
            comparable_shares <= 0 or greatest(comparable_shares / usual_shares, usual_shares / comparable_shares) >= 1.7, false
        ) as is_suspect
    from compared
)

select
    symbol,
    session,
    nav,
    case when not is_suspect and not is_stale then shares end as shares_outstanding,
    case when not is_suspect and not is_stale then coalesce(total_net_assets_usd, nav * shares) end as total_net_assets_usd,
    distribution,
    split_ratio,
    is_suspect,
    is_stale,
    shares as published_shares_outstanding,
    source,
    known_at,
    run_id
from judged
order by symbol, session
