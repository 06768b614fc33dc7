-- ops.alerts: the outbox of alerts.
-- grain: alert_id
-- null: sent_at while not delivered; last_error where no delivery failed
-- columns:
--   alert_id: identifier
--   fingerprint: alerts of one incident share it
--   kind: failure or recovery
--   severity: critical or warning
--   title: one line
--   body: the message
--   run_id: run it is about
--   created_at: when it was written
--   sent_at: when it was delivered
--   attempts: deliveries tried
--   last_error: why the last one failed
create table if not exists ops.alerts (
    alert_id varchar not null,
    fingerprint varchar not null,
    kind varchar not null,
    severity varchar not null,
    title varchar not null,
    body varchar not null,
    run_id varchar,
    created_at timestamptz not null,
    sent_at timestamptz,
    attempts integer not null,
    last_error varchar
);
