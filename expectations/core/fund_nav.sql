-- core.fund_nav: the fund records, after the new ones were added.

-- expectation: share_count_possible
-- severity: warning
-- sentence: The published share count differs by a factor of 1.7 or more from the eleven counts before it; its flows
--   are NULL.
select n.symbol, n.session, n.nav, n.published_shares_outstanding
from core.fund_nav as n
where n.is_suspect;

-- expectation: assets_of_one_share_class
-- severity: info
-- sentence: Published assets differ by over 20 % from NAV x the issuer's share count: they may be those of all share
--   classes of the fund. The issuer's count is used.
with navs as (
    select symbol, session, nav, product(split_ratio) over (partition by symbol order by session rows unbounded preceding) as split_factor
    from core.fund_nav
    where nav is not null
),
counts as (
    select n.symbol, n.session, n.shares_outstanding / v.split_factor as shares_before_splits
    from core.fund_nav as n
    join navs as v using (symbol, session)
    where n.share_count_basis <> 'derived' and n.shares_outstanding is not null
),
snapshots as (
    select
        f.symbol, f.as_of as session, f.total_net_assets_usd, v.nav * c.shares_before_splits * v.split_factor as assets_of_count_usd, f.source
    from core.fund_facts as f
    asof join navs as v on v.symbol = f.symbol and v.session <= f.as_of
    asof join counts as c on c.symbol = f.symbol and c.session <= f.as_of
    where f.as_of - c.session <= 35
)
select symbol, session, total_net_assets_usd, assets_of_count_usd, source
from snapshots
where abs(total_net_assets_usd / assets_of_count_usd - 1) > 0.2
union all
select symbol, session, nav * published_shares_outstanding, nav * published_shares_outstanding / assets_ratio, source
from core.fund_nav
where share_count_basis = 'derived' and abs(assets_ratio - 1) > 0.2;
