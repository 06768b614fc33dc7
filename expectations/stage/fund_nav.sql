-- stage.fund_nav: the fund records of one run that are new or changed, before they are added to raw.fund_nav.

-- expectation: types_as_declared
-- severity: critical
-- sentence: A column of the batch is missing, is unexpected, or does not have its declared type.
with declared(column_name, data_type) as (
    values
        ('symbol', 'VARCHAR'), ('session', 'DATE'), ('nav', 'DOUBLE'), ('shares_outstanding', 'DOUBLE'),
        ('total_net_assets_usd', 'DOUBLE'), ('distribution', 'DOUBLE'), ('share_count_basis', 'VARCHAR'),
        ('source', 'VARCHAR'), ('is_new', 'BOOLEAN'), ('is_revised', 'BOOLEAN')
),
found as (
    select column_name, data_type
    from duckdb_columns()
    where database_name = current_database() and schema_name = 'stage' and table_name = 'fund_nav'
)
select null::varchar as symbol, null::date as session, column_name, d.data_type as declared_type, f.data_type as found_type
from found as f
full join declared as d using (column_name)
where f.data_type is distinct from d.data_type;

-- expectation: not_after_session
-- severity: critical
-- sentence: A fund record is dated after the session of the run.
select symbol, session, nav, shares_outstanding
from stage.fund_nav
where session > getvariable('target_session');

-- expectation: on_a_session
-- severity: warning
-- sentence: The fund record is dated on a day when the exchange was closed.
select b.symbol, b.session, b.nav, b.shares_outstanding
from stage.fund_nav as b
anti join stage.sessions as s on s.session = b.session;

-- expectation: nav_positive
-- severity: warning
-- sentence: The NAV is missing, zero, negative or not finite.
select symbol, session, nav
from stage.fund_nav
where nav is null or nav <= 0 or not isfinite(nav);

-- expectation: shares_positive
-- severity: warning
-- sentence: Shares outstanding or assets are zero, negative or not finite.
select symbol, session, shares_outstanding, total_net_assets_usd
from stage.fund_nav
where least(shares_outstanding, total_net_assets_usd) <= 0
    or not isfinite(shares_outstanding) or not isfinite(total_net_assets_usd);

-- expectation: shares_or_assets_present
-- severity: info
-- sentence: Neither shares outstanding nor assets are published, so no flow can be computed.
select symbol, session, nav
from stage.fund_nav
where shares_outstanding is null and total_net_assets_usd is null
    and share_count_basis is distinct from 'monthly_count';

-- expectation: assets_match
-- severity: warning
-- sentence: The assets differ from NAV x shares by more than half a percent.
select symbol, session, nav, shares_outstanding, total_net_assets_usd
from stage.fund_nav
where abs(total_net_assets_usd / (nav * shares_outstanding) - 1) > 0.005;

-- expectation: distribution_plausible
-- severity: warning
-- sentence: The distribution is negative, or not smaller than the NAV.
select symbol, session, nav, distribution
from stage.fund_nav
where distribution < 0 or distribution >= nav;

-- expectation: nav_near_close
-- severity: warning
-- column: nav
-- sentence: The premium of the close over the NAV differs by more than 2 % from its median over the 21 records
--   before: close and NAV are not of the same day.
with closes as (
    select
        symbol,
        session,
        close,
        coalesce(product(split_ratio) over (
            partition by symbol order by session desc rows between unbounded preceding and 1 preceding
        ), 1) as later_splits
    from stage.fund_bars
    where close > 0
),
compared as (
    select
        r.*,
        c.close,
        -- On the split basis of the day, as NAVs are published, and on that of now, as some issuers restate theirs.
        c.close * c.later_splits / r.nav as premium,
        c.close / r.nav as restated_premium
    from stage.fund_records as r
    join closes as c on c.symbol = r.symbol and c.session = r.session
    where r.nav > 0 and isfinite(r.nav)
),
judged as (
    select
        *,
        count(*) over before_it as records_before,
        median(premium) over before_it as usual_premium,
        median(restated_premium) over before_it as usual_restated_premium
    from compared
    window before_it as (partition by symbol order by session rows between 21 preceding and 1 preceding)
)
select symbol, session, nav, close, premium, usual_premium
from judged
where is_given and records_before = 21
    and least(abs(premium / usual_premium - 1), abs(restated_premium / usual_restated_premium - 1)) > 0.02;

-- expectation: record_in_usd_and_shares
-- severity: warning
-- sentence: The NAV is more than five times, or less than a fifth of, the close; or over its last 21 records the usual daily volume is above thirty times its
--   share count; or assets are above 5 trillion USD, or more than twenty times, or less than a twentieth of, those of the fund's newest snapshot
--   of the same quarter, where the traded value supports the snapshot. Probably the NAV is in pence or on another basis of splits, or shares or assets are in thousands or millions.
with traded as (
    select
        b.symbol,
        b.session,
        b.close,
        coalesce(product(b.split_ratio) over (
            partition by b.symbol order by b.session desc rows between unbounded preceding and 1 preceding
        ), 1) as later_splits,
        median(b.volume) over (partition by b.symbol order by b.session rows 20 preceding) as usual_volume
    from stage.fund_bars as b
    where b.close > 0
),
facts as (
    select symbol, max(as_of) as as_of, arg_max(total_net_assets_usd, as_of) as snapshot_assets
    from (
        select symbol, as_of, total_net_assets_usd from fn.fund_facts_known_at('infinity'::timestamptz)
        union all
        select symbol, as_of::date, total_net_assets_usd from stage.fund_facts
    )
    where total_net_assets_usd > 0
    group by symbol
),
compared as (
    select
        r.symbol,
        r.session,
        r.nav,
        r.shares_outstanding,
        r.total_net_assets_usd,
        t.close,
        case when abs(fn.log_or_null(t.close / r.nav)) > abs(fn.log_or_null(t.close * t.later_splits / r.nav)) then t.close * t.later_splits else t.close end
            / nullif(r.nav, 0) as close_to_nav,
        -- A single impossible count is no unit, and core.fund_nav leaves it out.
        median(t.usual_volume / t.later_splits / nullif(r.shares_outstanding, 0)) over (
            partition by r.symbol order by r.session rows 20 preceding
        ) as turnover,
        coalesce(r.total_net_assets_usd, r.nav * r.shares_outstanding) as assets,
        f.snapshot_assets,
        t.usual_volume * t.close as usual_dollar_volume,
        r.is_given
    from stage.fund_records as r
    left join traded as t on t.symbol = r.symbol and t.session = r.session
    left join facts as f on f.symbol = r.symbol and abs(f.as_of - r.session) <= 90
    where r.nav > 0 and isfinite(r.nav)
)
select symbol, session, nav, close, shares_outstanding, turnover, total_net_assets_usd, snapshot_assets
from compared
where is_given and (
    not close_to_nav between 0.2 and 5
    or (shares_outstanding > 0 and isfinite(shares_outstanding) and turnover > 30)
    or (assets > 0 and isfinite(assets) and assets > 5e12)
    -- Of the two, that is right of which about 2 % is traded on a usual day: 0.2 % of VB, 12 % of IWM.
    or (
        assets > 0 and isfinite(assets) and not assets / snapshot_assets between 0.05 and 20
        and abs(fn.log_or_null(usual_dollar_volume / assets / 0.02)) > abs(fn.log_or_null(usual_dollar_volume / snapshot_assets / 0.02))
    )
);

-- expectation: nav_step_plausible
-- severity: warning
-- column: nav
-- sentence: The NAV changes by more than 25 % without a split, and the close and the next record do not both confirm
--   it yet.
with moved as (
    select
        *,
        coalesce(distribution, 0) as paid,
        case when lag(nav) over by_session > paid then nav / (lag(nav) over by_session - paid) end as nav_step,
        coalesce(lead(distribution) over by_session, 0) as next_paid,
        case when nav > next_paid then lead(nav) over by_session / (nav - next_paid) end as next_step,
        lag(session) over by_session as previous_session,
        row_number() over by_session as record_number
    from stage.fund_records
    where nav > 0 and isfinite(nav)
    window by_session as (partition by symbol order by session)
),
far as (
    from moved where not nav_step between 0.8 and 1.25
),
splits as (
    select f.symbol, f.record_number, product(b.split_ratio) as split_ratio
    from (from stage.fund_bars where split_ratio <> 1) as b
    join far as f on f.symbol = b.symbol and b.session > f.previous_session and b.session <= f.session
    group by f.symbol, f.record_number
),
closes as (
    select f.symbol, f.record_number, max(b.close) filter (b.session = f.session) / max(b.close) filter (b.session < f.session) as close_step
    from stage.fund_bars as b
    join far as f on f.symbol = b.symbol and b.session in (f.previous_session, f.session)
    group by f.symbol, f.record_number
),
jumps as (
    select
        f.*,
        c.close_step,
        -sign(fn.log_or_null(f.nav_step)) * fn.log_or_null(f.next_step) > abs(fn.log_or_null(f.nav_step)) / 2 as is_undone,
        sign(fn.log_or_null(f.nav_step)) * fn.log_or_null(c.close_step) > abs(fn.log_or_null(f.nav_step)) / 2 as is_that_of_close
    from far as f
    left join splits as s using (symbol, record_number)
    left join closes as c using (symbol, record_number)
    where s.split_ratio is null or not f.nav_step * s.split_ratio between 0.8 and 1.25
)
select j.symbol, j.session, j.nav, j.nav_step, j.close_step, j.next_step
from jumps as j
anti join jumps as before on before.symbol = j.symbol and before.record_number = j.record_number - 1 and before.is_undone
where j.is_given and (j.next_step is null or j.is_undone or not j.is_that_of_close);

-- expectation: record_not_repeated
-- severity: warning
-- column: nav
-- sentence: The record repeats the NAV and the share count or assets of the session before, although the close moved by more than 0.5 %: the
--   publisher may have repeated its last record.
with steps as (
    select
        *,
        lag(session) over by_session as previous_session,
        nav = lag(nav) over by_session
            and shares_outstanding is not distinct from lag(shares_outstanding) over by_session
            and total_net_assets_usd is not distinct from lag(total_net_assets_usd) over by_session as is_repeated
    from stage.fund_records
    semi join stage.sessions using (session)
    window by_session as (partition by symbol order by session)
),
repeated as (
    from steps where is_given and is_repeated
)
select r.symbol, r.session, r.nav, r.shares_outstanding, b.close as previous_close, c.close
from repeated as r
join stage.fund_bars as c on c.symbol = r.symbol and c.session = r.session
join stage.fund_bars as b on b.symbol = r.symbol and b.session = r.previous_session
where b.close > 0 and abs(c.close / b.close - 1) > 0.005;

-- expectation: fresh
-- severity: info
-- sentence: The publisher is late: the fund's newest record is more than one session older than allowed.
with asked as (
    select a.symbol, max(o.max_age_sessions) as max_age_sessions
    from (from stage.answers where dataset = 'fund_nav') as a
    join stage.offers as o on o.dataset = a.dataset and o.symbol = a.symbol
    group by a.symbol
),
due as (
    select session, row_number() over (order by session desc) - 1 as age
    from stage.sessions
    where session <= getvariable('target_session')
),
newest as (
    select symbol, max(session) as session
    from (select symbol, session from raw.fund_nav union all select symbol, session from stage.fund_nav)
    group by symbol
)
select a.symbol, n.session, d.session as session_due
from asked as a
join due as d on d.age = a.max_age_sessions + 1
left join newest as n on n.symbol = a.symbol
where coalesce(n.session < d.session, true);
