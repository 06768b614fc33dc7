-- core.fund_nav: NAV, shares outstanding and assets of funds, session by session.
-- grain: symbol, session
-- sources: fn.fund_nav_known_at, fn.prices_known_of, fn.log_or_null, core.sessions, core.instruments, core.flow_members, core.prices
-- lookback: all; the splits since the first record, the last count of the issuer, and 11 counts of the last 63 sessions
-- null: values that are not published; shares_outstanding and total_net_assets_usd where the published count is not possible (is_suspect), where
--   the issuer's own count is to be used (is_superseded) and, for counts derived from assets, where the assets did not change since the record
--   before, since there is no new information (is_stale)
-- formula: shares = assets / NAV where there is no count. An issuer's count decides, as assets may be those of all share classes of the fund: a
--   count derived from assets is not used for 23 sessions after an issuer's count, and never where it differs from the issuer's last one by
--   more than 20 %. A count is suspect that differs by a factor of 1.7 or more from the median of the 11 counts before it, all of the
--   same kind, of the last 63 sessions and on one split basis: on IWM 2000-2026 that finds the nine impossible counts of the issuer and nothing
--   else. Only earlier records count, so later data never changes a row. A record that is not on a session is left out. A fund that the
--   universe no longer lists keeps its records where it was a member of a flow group, so that the group's past sums stay as they were
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   nav: USD per share, as published
--   shares_outstanding: shares, as published
--   total_net_assets_usd: USD, as published, else NAV x shares; also where the published assets differ from the issuer's count by over 20 %
--   distribution: USD per share on the ex-date
--   split_ratio: new shares per old share against the record before; 1 = none, also where the issuer restated its history
--   is_suspect: the published share count is not possible
--   is_stale: the count is derived from assets, and they are those of the record before
--   is_superseded: the count is derived from assets, and the issuer's own count is preferred
--   published_shares_outstanding: the count as published, before the check
--   share_count_basis: daily_count or monthly_count (the issuer's, of each day or of month ends) or derived (assets / NAV)
--   assets_ratio: published assets / (NAV x the issuer's last count); 1 = they agree
--   source: issuer or vendor that published it
--   known_at: when this version was fetched
--   run_id: run that added this version
with followed as (
    select symbol from core.instruments
    union
    select symbol from core.flow_members
),

known as (
    select k.*
    from fn.fund_nav_known_at('infinity'::timestamptz) as k
    semi join followed as f on f.symbol = k.symbol
),

recorded as (
    select distinct symbol from known
),

splits as (
    select p.symbol, p.session, p.split_ratio
    from core.prices as p
    semi join recorded as r on r.symbol = p.symbol
    union all
    select symbol, session, split_ratio
    from fn.prices_known_of(
        'infinity'::timestamptz,
        (select list(symbol) from recorded where symbol not in (select symbol from core.instruments))
    )
),

splits_so_far as (
    select symbol, session, product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as split_factor
    from splits
),

records as (
    select
        k.*,
        s.session_number,
        case
            when k.shares_outstanding is not null then coalesce(k.share_count_basis, 'daily_count')
            when k.share_count_basis = 'monthly_count' or k.total_net_assets_usd is null then k.share_count_basis
            else 'derived'
        end as basis,
        case when basis = 'derived' then k.total_net_assets_usd / nullif(k.nav, 0) else k.shares_outstanding end as shares,
        -- Of all splits since the record before, should sessions be missing in between. Rounded, as a quotient of products.
        coalesce(round(p.split_factor / lag(p.split_factor) over by_session, 9), 1) as announced_ratio,
        lag(k.nav) over by_session as previous_nav,
        lag(shares) over by_session as previous_shares,
        p.symbol is null as is_before_prices,
        basis = 'derived'
            and k.total_net_assets_usd is not distinct from lag(k.total_net_assets_usd) over by_session as is_stale
    from known as k
    join core.sessions as s on s.session = k.session
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

factored as (
    select *, product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as split_factor
    from split
),

with_issuer as (
    select
        *,
        max(case when shares_outstanding is not null then session_number end) over so_far as issuer_number,
        last(shares_outstanding / split_factor ignore nulls) over so_far * split_factor as issuer_shares
    from factored
    window so_far as (partition by symbol order by session rows unbounded preceding)
),

on_one_basis as (
    select
        *,
        coalesce(basis = 'derived' and (session_number - issuer_number <= 23 or abs(shares / issuer_shares - 1) > 0.2), false) as is_superseded,
        case when not is_stale and not is_superseded then shares end / split_factor as comparable_shares
    from with_issuer
),

usual as (
    select
        symbol,
        session,
        case
            when count(*) over before_it = 11 and session_number - min(session_number) over before_it <= 63
                then median(comparable_shares) over before_it
        end as usual_shares
    from on_one_basis
    where comparable_shares is not null
    window before_it as (partition by symbol, basis = 'derived' order by session rows between 11 preceding and 1 preceding)
),

judged as (
    select
        b.*,
        coalesce(
            comparable_shares <= 0 or greatest(comparable_shares / usual_shares, usual_shares / comparable_shares) >= 1.7, false
        ) as is_suspect
    from on_one_basis as b
    left join usual as u using (symbol, session)
)

select
    symbol,
    session,
    nav,
    case when not (is_suspect or is_stale or is_superseded) then shares end as shares_outstanding,
    case
        when is_suspect or is_stale or is_superseded then null
        when abs(total_net_assets_usd / (nav * shares) - 1) <= 0.2 then total_net_assets_usd
        else nav * shares
    end as total_net_assets_usd,
    distribution,
    split_ratio,
    is_suspect,
    is_stale,
    is_superseded,
    shares as published_shares_outstanding,
    basis as share_count_basis,
    total_net_assets_usd / nullif(nav * issuer_shares, 0) as assets_ratio,
    source,
    known_at,
    run_id
from judged
order by symbol, session
