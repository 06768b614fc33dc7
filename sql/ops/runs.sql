-- ops.runs: the ledger of runs, one row each, finished last.
-- grain: run_id
-- sources: none
-- lookback: none
-- null: finished_at, session and counts of a run that has not come so far
-- columns:
--   run_id: identifier, sorts by time
--   flow_run_id: Prefect's flow run, if any
--   started_at: when the run began
--   finished_at: when it ended
--   status: running, published, blocked (a critical expectation failed), failed, or up_to_date (nothing new)
--   source: adapter asked
--   session: session the warehouse was to be brought up to
--   rows_fetched: bars the source gave
--   rows_new: bars not known before
--   rows_revised: bars that differ from their last known version, withdrawn ones included
--   rows_quarantined: bars and symbols set aside by this run
--   published: whether readers see what this run brought
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
