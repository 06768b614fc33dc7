-- ops.validations: every result of every expectation of every run.
-- grain: run_id, suite, expectation
-- sources: none
-- lookback: none
-- null: column_name of an expectation about more than one column; observed, details where there are none
-- columns:
--   run_id: run that checked
--   suite: table that was checked, as in `signals.breadth`; its expectations are in expectations/<schema>/<table>.sql
--   dataset: of a staged table its dataset, else the name of the table
--   expectation: identifier of the expectation in its suite
--   column_name: column it is about
--   severity: critical (blocks the run), warning (sets rows aside) or info (is recorded)
--   success: whether the expectation holds
--   raised: the check itself failed; blocks like a critical failure
--   unexpected_count: rows that fail the expectation
--   element_count: rows in the table
--   observed: observed value of an expectation about the whole batch
--   details: the sentence for the reader, or the error of a check that raised
create table if not exists ops.validations (
    run_id varchar not null,
    suite varchar not null,
    dataset varchar not null,
    expectation varchar not null,
    column_name varchar,
    severity varchar not null,
    success boolean not null,
    raised boolean not null,
    unexpected_count bigint,
    element_count bigint,
    observed varchar,
    details varchar
);
