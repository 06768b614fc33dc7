-- raw.fund_nav: every version of every fund record, as published by the issuer or vendor. Append-only.
-- grain: symbol, session, known_at
-- sources: stage.fund_nav
-- lookback: none
-- null: values that are not published; shares_outstanding where a vendor gives only assets, or counts shares at month ends only;
--   share_count_basis where the source does not state it, and in rows that an older version added
-- columns:
--   symbol: ticker
--   session: date of the record, as published
--   nav: USD per share, as published
--   shares_outstanding: shares, as published
--   total_net_assets_usd: USD, as published
--   distribution: USD per share on the ex-date
--   share_count_basis: daily_count, monthly_count (issuer's counts) or derived (assets / NAV)
--   source: issuer or vendor that published it
--   known_at: when it was fetched
--   run_id: run that added it
create table if not exists raw.fund_nav (
    symbol varchar not null,
    session date not null,
    nav double,
    shares_outstanding double,
    total_net_assets_usd double,
    distribution double,
    share_count_basis varchar,
    source varchar not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.fund_nav by name
select * exclude (is_new, is_revised), getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.fund_nav
order by symbol, session;
