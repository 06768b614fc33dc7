-- stage.fund_nav: the fund records of this run that are new or differ from their last known version.
-- grain: symbol, session; a record given more than once is kept as often, for the audit to see
-- sources: stage.fetched_fund_nav, raw.fund_nav_known_at, raw.differs
-- null: as published
with fetched as (
    select * replace (session::date as session), count(*) over (partition by symbol, session) as times_given
    from stage.fetched_fund_nav
)

select f.* exclude (times_given), k.symbol is null as is_new
from fetched as f
left join raw.fund_nav_known_at('infinity'::timestamptz) as k on k.symbol = f.symbol and k.session = f.session
where f.times_given > 1 or k.symbol is null
    or raw.differs(f.nav, k.nav) or raw.differs(f.shares_outstanding, k.shares_outstanding)
    or raw.differs(f.total_net_assets_usd, k.total_net_assets_usd) or raw.differs(f.distribution, k.distribution)
order by f.symbol, f.session
