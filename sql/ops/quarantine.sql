-- ops.quarantine: rows and symbols that were set aside instead of published, and why. An open entry is one without resolved_at.
--   ops.quarantine_entries has them with identifiers and manual overrides.
-- grain: dataset, symbol, session, expectation, run_id
-- sources: none
-- lookback: none
-- null: is_blocked of entries of version 0.1, which are none of a blocked run; session where the whole symbol is set aside; row_json where there
--   is no row, as for a missing bar; resolved_at while open
-- columns:
--   run_id: run that set it aside
--   dataset: of a staged row its dataset; what a check of derived tables found, the name of the table
--   symbol: ticker
--   session: XNYS trading date
--   expectation: expectation that it failed; `fetch` when the source returned no usable response
--   reason: a sentence for the reader
--   row_json: the row itself; of a missing row or a derived table, what the expectation yields
--   resolved_at: when a later fetch was good, the row was accepted by a manual override, another bad row took its place, or the symbol was not
--     followed any more (stage.followed); of an entry of a blocked run, when that run ended
--   is_blocked: the run was blocked, so the row was not set aside: it is what the run would have set aside
create table if not exists ops.quarantine (
    run_id varchar not null,
    dataset varchar not null,
    symbol varchar,
    session date,
    expectation varchar not null,
    reason varchar not null,
    row_json json,
    resolved_at timestamptz,
    is_blocked boolean
);
