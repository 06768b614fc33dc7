-- ops.runs: the ledger of runs, one row each, finished last.
-- grain: run_id
-- sources: none
-- lookback: none
-- null: finished_at, session and counts of a run that has not reached that step
-- columns:
--   run_id: identifier, sorts by time
--   flow_run_id: Prefect's flow run, if any
--   started_at: when the run began
--   finished_at: when it ended
--   status: running, published, blocked (a critical expectation failed), failed, or up_to_date (nothing new)
--   source: configured source
--   session: last session to load
--   rows_fetched: rows that the sources returned
--   rows_new: rows not known before
--   rows_revised: rows that differ from their last known version, withdrawn ones included
--   rows_quarantined: rows and symbols that this run quarantined
--   published: whether readers have the data of this run
--   message: what happened and what to do next
--   code_version: version of market-rotation
create table if not exists ops.runs (
    run_id varchar not null,
    flow_run_id varchar,
    started_at timestamptz not null,
    finished_at timestamptz,
    status varchar not null,
    source varchar not null,
    session date,
    rows_fetched bigint,
    rows_new bigint,
    rows_revised bigint,
    rows_quarantined bigint,
    published boolean not null,
    message varchar,
    code_version varchar not null
);
