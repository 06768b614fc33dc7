-- stage.fund_facts: the snapshots of funds of one run, before they are added to raw.fund_facts.

-- expectation: not_in_future
-- severity: warning
-- sentence: The snapshot is dated after the day on which it was fetched.
select symbol, as_of as session, nav, total_net_assets_usd
from stage.fund_facts
where as_of > (getvariable('known_at')::timestamptz at time zone 'UTC')::date;

-- expectation: expense_ratio_is_a_fraction
-- severity: warning
-- column: expense_ratio
-- sentence: The expense ratio is not a fraction of assets a year: it is negative, below 0.005 % without being zero, above 5 %, or above 1.5 % for a
--   fund that follows an index; or it is more than ten times, or less than a tenth of, its last known value; or more than twenty times the
--   median of at least three others of its peer group. Probably it is given in percent.
with known as (
    from fn.fund_facts_known_at('infinity'::timestamptz) where expense_ratio > 0
),
before as (
    select b.symbol, b.as_of, arg_max(k.expense_ratio, k.as_of) as last_known
    from stage.fund_facts as b
    join known as k on k.symbol = b.symbol and k.as_of < b.as_of
    group by b.symbol, b.as_of
),
newest as (
    select u.peer_group, f.symbol, arg_max(f.expense_ratio, f.as_of) as expense_ratio
    from (select symbol, as_of, expense_ratio from known union all select symbol, as_of, expense_ratio from stage.fund_facts) as f
    join stage.universe as u using (symbol)
    where f.expense_ratio > 0 and u.peer_group is not null
    group by u.peer_group, f.symbol
),
peers as (
    select n.symbol, median(o.expense_ratio) as peer_median
    from newest as n
    join newest as o on o.peer_group = n.peer_group and o.symbol <> n.symbol
    group by n.symbol
    having count(*) >= 3
)
select b.symbol, b.as_of as session, b.expense_ratio, l.last_known, p.peer_median
from stage.fund_facts as b
left join stage.universe as u on u.symbol = b.symbol
left join before as l on l.symbol = b.symbol and l.as_of = b.as_of
left join peers as p on p.symbol = b.symbol
where not b.expense_ratio between 0 and 0.05
    or (b.expense_ratio > 0.015 and coalesce(u.index_name, b.index_name) is not null)
    or (b.expense_ratio > 0 and b.expense_ratio < 0.00005)
    or (b.expense_ratio > 0 and not b.expense_ratio / l.last_known between 0.1 and 10)
    or b.expense_ratio > 20 * p.peer_median;

-- expectation: facts_in_usd
-- severity: warning
-- sentence: Assets are below 1 million or above 5 trillion USD, or more than twenty times, or less than a twentieth of, what the last record or snapshot
--   says, unless the traded value supports them; or the NAV is more than five times, or less than a fifth of, the last close. Probably they are in thousands, in millions or in pence.
with records as (
    select symbol, session as day, coalesce(total_net_assets_usd, nav * shares_outstanding) as assets
    from fn.fund_nav_known_at('infinity'::timestamptz)
    union all
    select symbol, session as day, coalesce(total_net_assets_usd, nav * shares_outstanding) as assets
    from stage.fund_nav
    union all
    select k.symbol, k.as_of as day, k.total_net_assets_usd as assets
    from fn.fund_facts_known_at('infinity'::timestamptz) as k
    anti join stage.fund_facts as b on b.symbol = k.symbol and b.as_of = k.as_of
),
last_assets as (
    select b.symbol, b.as_of, arg_max(r.assets, r.day) as last_assets
    from stage.fund_facts as b
    join records as r on r.symbol = b.symbol and r.day <= b.as_of and r.day >= b.as_of - 60
    where r.assets > 0
    group by b.symbol, b.as_of
),
known_bars as (
    from raw.prices
    where session >= (select min(as_of) from stage.fund_facts) - 10
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1
),
closes as (
    select symbol, session, close, volume from known_bars where not is_withdrawn
    union all
    select symbol, session, close, volume from stage.prices where not is_withdrawn
),
last_closes as (
    select b.symbol, b.as_of, arg_max(c.close, c.session) as last_close, median(c.close * c.volume) as usual_dollar_volume
    from stage.fund_facts as b
    join closes as c on c.symbol = b.symbol and c.session <= b.as_of and c.session >= b.as_of - 10
    where c.close > 0
    group by b.symbol, b.as_of
)
select b.symbol, b.as_of as session, b.total_net_assets_usd, a.last_assets, b.nav, c.last_close
from stage.fund_facts as b
left join last_assets as a on a.symbol = b.symbol and a.as_of = b.as_of
left join last_closes as c on c.symbol = b.symbol and c.as_of = b.as_of
where (b.total_net_assets_usd > 0 and isfinite(b.total_net_assets_usd) and not b.total_net_assets_usd between 1e6 and 5e12)
    -- Of the two, that is right of which about 2 % is traded on a usual day: 0.2 % of VB, 12 % of IWM.
    or (
        b.total_net_assets_usd > 0 and isfinite(b.total_net_assets_usd) and not b.total_net_assets_usd / a.last_assets between 0.05 and 20
        and coalesce(
            abs(fn.log_or_null(c.usual_dollar_volume / b.total_net_assets_usd / 0.02)) >= abs(fn.log_or_null(c.usual_dollar_volume / a.last_assets / 0.02)),
            true
        )
    )
    or (b.nav > 0 and isfinite(b.nav) and not b.nav / c.last_close between 0.2 and 5);

-- expectation: assets_positive
-- severity: warning
-- sentence: Assets or NAV are zero, negative or not finite.
select symbol, as_of as session, total_net_assets_usd, nav
from stage.fund_facts
where least(total_net_assets_usd, nav) <= 0 or not isfinite(total_net_assets_usd) or not isfinite(nav);

-- expectation: pe_plausible
-- severity: warning
-- sentence: The price/earnings ratio is below 1 or above 1000: probably the vendor gave earnings/price.
select symbol, as_of as session, trailing_pe
from stage.fund_facts
where not trailing_pe between 1 and 1000;

-- expectation: facts_move
-- severity: warning
-- sentence: All funds, three or more, repeat the NAV and the assets of their snapshots of at least three sessions before: the vendor's data stands
--   still.
with known as (
    select symbol, as_of, nav, total_net_assets_usd from fn.fund_facts_known_at('infinity'::timestamptz)
),
numbered as (
    select session, row_number() over (order by session) as session_number from stage.sessions
),
given as (
    select b.symbol, b.as_of, b.nav, b.total_net_assets_usd, n.session_number
    from stage.fund_facts as b
    asof join numbered as n on n.session <= b.as_of
    where b.nav is not null or b.total_net_assets_usd is not null
),
before as (
    select g.symbol, g.as_of, arg_max(k.nav, k.as_of) as nav_before, arg_max(k.total_net_assets_usd, k.as_of) as assets_before
    from given as g
    join numbered as n on n.session_number = g.session_number - 3
    join known as k on k.symbol = g.symbol and k.as_of <= n.session and k.as_of >= n.session - 30
    group by g.symbol, g.as_of
),
compared as (
    select
        g.*,
        b.nav_before,
        b.assets_before,
        coalesce(g.nav = b.nav_before, true) and coalesce(g.total_net_assets_usd = b.assets_before, true)
            and coalesce(b.nav_before, b.assets_before) is not null as is_still
    from given as g
    join before as b on b.symbol = g.symbol and b.as_of = g.as_of
)
select symbol, as_of as session, nav, total_net_assets_usd
from compared
where as_of in (select as_of from compared group by as_of having count(*) >= 3 and bool_and(is_still));
