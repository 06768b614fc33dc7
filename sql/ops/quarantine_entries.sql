-- ops.quarantine_entries: the entries of ops.quarantine with their identifiers, and the manual override of each, where there is one.
-- grain: dataset, symbol, session, expectation, run_id
-- sources: ops.quarantine, ops.accepted
-- lookback: all
-- null: session, row_json and resolved_at as in ops.quarantine; accepted_at, accepted_by, because and accepted_row without an override
-- columns:
--   entry_id: made of the grain; `rotation quarantine` shows its first eight digits
--   run_id: run that set it aside
--   dataset: as in ops.quarantine
--   symbol: as in ops.quarantine
--   session: as in ops.quarantine
--   expectation: as in ops.quarantine
--   reason: as in ops.quarantine
--   row_json: as in ops.quarantine
--   resolved_at: as in ops.quarantine
--   is_blocked: as in ops.quarantine
--   accepted_at: when a person accepted the row
--   accepted_by: who accepted it
--   because: the reason given
--   accepted_row: the row that was accepted
create or replace macro ops.quarantine_entries() as table
select
    md5(concat_ws('|', q.run_id, q.dataset, coalesce(q.symbol, ''), coalesce(q.session::varchar, ''), q.expectation)) as entry_id,
    q.*,
    a.accepted_at,
    a.accepted_by,
    a.because,
    a.row_json as accepted_row
from ops.quarantine as q
left join ops.accepted as a
    on a.run_id = q.run_id and a.dataset = q.dataset and a.symbol = q.symbol and a.session = q.session and a.expectation = q.expectation;
