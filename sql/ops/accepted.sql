-- ops.accepted: manual overrides: rows that a person accepted although they failed an expectation, with the reason. Append-
--   only.
-- grain: dataset, symbol, session, expectation, run_id
-- sources: none
-- lookback: none
-- null: none
-- columns:
--   run_id: run that set the row aside, as in ops.quarantine
--   dataset: prices, fund_nav, fund_facts or earnings_growth
--   symbol: ticker
--   session: XNYS trading date of the row, or day of the snapshot
--   expectation: expectation that it failed, and that it passes while its values stay the same
--   row_json: the row that was accepted
--   because: the reason given
--   accepted_by: who accepted it, a user of the operating system
--   accepted_at: time of the override
create table if not exists ops.accepted (
    run_id varchar not null,
    dataset varchar not null,
    symbol varchar not null,
    session date not null,
    expectation varchar not null,
    row_json json not null,
    because varchar not null,
    accepted_by varchar not null,
    accepted_at timestamptz not null
);
