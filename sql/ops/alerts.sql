-- ops.alerts: the outbox of alerts. An alert is written here first, then sent, with retries until it is delivered.
-- grain: alert_id
-- sources: none
-- lookback: none
-- null: run_id of an alert of the watchdog; since of a notice; sent_at while not delivered; taken_by until a channel accepted it; last_error where
--   no delivery failed; channel of an alert for every channel
-- columns:
--   alert_id: identifier
--   fingerprint: alerts of one incident share it
--   kind: failure when an incident begins, reminder and escalation while it lasts, recovery when it is over; notice of a change in the data
--   severity: critical (nothing was published), warning (published without some rows) or info (a notice); a rule of one's own says its own
--   title: one line
--   body: the message
--   run_id: run it is about
--   session: session of that run
--   since: when the incident began
--   created_at: when it was written
--   sent_at: when every channel had accepted it
--   attempts: deliveries tried
--   taken_by: channels that accepted it, each by a hash of its address, never the address itself
--   last_error: why the last one failed
--   channel: the channel that receives it: kind (slack), or place and kind (2:slack)
create table if not exists ops.alerts (
    alert_id varchar not null,
    fingerprint varchar not null,
    kind varchar not null,
    severity varchar not null,
    title varchar not null,
    body varchar not null,
    run_id varchar,
    session date,
    since timestamptz,
    created_at timestamptz not null,
    sent_at timestamptz,
    attempts integer not null,
    taken_by varchar[],
    last_error varchar,
    channel varchar
);
