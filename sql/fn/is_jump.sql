-- fn.is_jump: whether a bar's return lies too far from what was expected of it, without the open and the volume of a true jump.
-- grain: one bar; see stage.expected_returns for the expectation
-- sources: none
-- lookback: none
-- null: false where the return is not known, or where it is not above 25 % and nothing was expected. open or volume may be missing: then there is
--   no evidence, and of a fund less deviation is enough
-- formula: a jump is a return beyond 25 %, or one that deviates from that expected by more than 2.5 % (8 % where the market was compared) and
--   more than 6 usual deviations; without evidence 3.5 of a fund among its like and 8 of others. A true jump is there at the open and is traded
--   heavily: up to 45 % it is none where the volume is at least 4 times the usual; or 2 times, and the open held 40 to 250 % of the change of
--   the close; or, for a fund among its like within 10 usual deviations, 1.25 times and 25 to 400 %. A wrong price shows neither
create or replace macro fn.is_jump(return_1d, expected_return, usual_deviation, has_companions, times_usual_volume, share_at_open) as
    coalesce(
        abs(return_1d) > 0.25 or (
            abs(return_1d - expected_return) > case when has_companions then 0.025 else 0.08 end
            and abs(return_1d - expected_return) > usual_deviation * case
                when times_usual_volume is not null and share_at_open is not null then 6
                when has_companions then 3.5
                else 8
            end
        ),
        false
    ) and not coalesce(
        abs(return_1d) <= 0.45 and (
            times_usual_volume >= 4
            or (
                has_companions and abs(return_1d - expected_return) <= 10 * usual_deviation
                and times_usual_volume >= 1.25 and share_at_open between 0.25 and 4
            )
            or (times_usual_volume >= 2 and share_at_open between 0.4 and 2.5)
        ),
        false
    )
