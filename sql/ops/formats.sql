-- ops.formats: the formats that the warehouse has had. A version of market-rotation that does not know the newest one refuses to write to it.
-- grain: format
-- sources: none
-- lookback: none
-- null: none
-- columns:
--   format: number of the format, which a new version raises when an older one would misread or damage the warehouse
--   version: version of market-rotation that first opened the warehouse with it
create table if not exists ops.formats (
    format integer not null,
    version varchar not null
);
