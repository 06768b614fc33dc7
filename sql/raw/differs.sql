-- raw.differs: whether a vendor's value `a` differs from the known value `b`.
-- null: a value against no value differs; no value against no value does not
-- formula: relative difference above 1e-6, since vendors answer in single precision and the last digits move between answers
create or replace macro raw.differs(a, b) as
    a is distinct from b and coalesce(abs(a - b) > 1e-6 * abs(b), true)
