-- The ledger: one row per attempt at one upstream, as proto usage/v1/event.proto tells of it. No text of prompts or
-- answers. Why it looks like this, with measured sizes: docs/adr/0004-ledger-schema.md.
CREATE DATABASE IF NOT EXISTS usage;

CREATE TABLE IF NOT EXISTS usage.events
(
    event_id UUID,
    -- Time of birth of the UUIDv7, so it is the same in every copy of an event; started_at is not, because the gateway
    -- and the worker read different clocks. Everything that decides which rows are copies is made of it.
    attempted_at DateTime64(3, 'UTC') MATERIALIZED UUIDv7ToDateTime(event_id, 'UTC') CODEC(Delta(8), ZSTD(1)),
    app_id LowCardinality(String),
    api_key_id LowCardinality(String),
    request_id String CODEC(ZSTD(1)),
    attempt UInt32 CODEC(T64, ZSTD(1)),
    started_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    duration_ms UInt32 CODEC(T64, ZSTD(1)),
    time_to_first_token_ms Nullable(UInt32) CODEC(T64, ZSTD(1)),

    requested_model LowCardinality(String),
    configuration LowCardinality(String),
    provider LowCardinality(String),
    provider_kind LowCardinality(String),
    upstream_model LowCardinality(String),
    response_model LowCardinality(String),
    operation LowCardinality(String),
    is_stream Bool,

    state Enum8('ok' = 1, 'error' = 2, 'cancelled' = 3, 'cache_hit' = 4),
    error_code LowCardinality(String),
    upstream_status UInt32 CODEC(T64, ZSTD(1)),
    upstream_request_id String CODEC(ZSTD(1)),
    finish_reason LowCardinality(String),
    native_finish_reason LowCardinality(String),

    -- Disjoint buckets: no token is in two of them.
    input_uncached UInt64 CODEC(T64, ZSTD(1)),
    cache_read UInt64 CODEC(T64, ZSTD(1)),
    cache_write_5m UInt64 CODEC(T64, ZSTD(1)),
    cache_write_1h UInt64 CODEC(T64, ZSTD(1)),
    input_audio UInt64 CODEC(T64, ZSTD(1)),
    input_image UInt64 CODEC(T64, ZSTD(1)),
    output_text UInt64 CODEC(T64, ZSTD(1)),
    output_reasoning UInt64 CODEC(T64, ZSTD(1)),
    output_audio UInt64 CODEC(T64, ZSTD(1)),
    output_image UInt64 CODEC(T64, ZSTD(1)),
    search_units UInt64 CODEC(T64, ZSTD(1)),
    requests UInt64 CODEC(T64, ZSTD(1)),
    usage_source Enum8('provider' = 1, 'estimated' = 2, 'unknown' = 3, 'none' = 4),
    raw_usage String CODEC(ZSTD(3)),

    cost_state Enum8('priced' = 1, 'reported' = 2, 'unpriced' = 3),
    -- USD; NULL exactly when the cost is unknown.
    cost_usd Nullable(Decimal(38, 12)) CODEC(ZSTD(1)),
    price_lines Nested
    (
        bucket LowCardinality(String),
        quantity UInt64,
        rate_picousd_per_million Int64,
        amount_usd Decimal(38, 12)
    ),
    price_version LowCardinality(String),

    end_user String CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), String) CODEC(ZSTD(1)),

    -- What is wrong with this row; the bytes that it came from are in usage.rejected.
    defects Array(LowCardinality(String)),
    -- Of two copies of an event the better informed one stays: a worker's own record over the gateway's substitute.
    rank UInt8,
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),

    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 1,

    CONSTRAINT total_is_sum_of_lines CHECK
        cost_state != 'priced' OR ifNull(cost_usd = arraySum(price_lines.amount_usd), 0),
    CONSTRAINT unknown_cost_is_null CHECK (cost_state = 'unpriced') = isNull(cost_usd),
    CONSTRAINT cost_is_not_negative CHECK ifNull(cost_usd >= 0, 1)
)
ENGINE = ReplacingMergeTree(rank)
PARTITION BY toYYYYMM(attempted_at)
PRIMARY KEY (app_id, toStartOfFiveMinutes(attempted_at))
-- attempted_at repeats what event_id holds and changes no copy's place; it keeps rows in the order of time, because
-- ClickHouse sorts a UUID by its second, random half.
ORDER BY (app_id, toStartOfFiveMinutes(attempted_at), attempted_at, event_id)
TTL toDateTime(attempted_at) + INTERVAL 13 MONTH
SETTINGS ttl_only_drop_parts = 1, fsync_after_insert = 1, fsync_part_directory = 1;

-- Messages of the stream USAGE that became no row, or a row with defects. Nothing that arrives is thrown away.
CREATE TABLE IF NOT EXISTS usage.rejected
(
    payload_sha256 FixedString(64),
    received_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    subject String,
    -- Fixed words, see UnusableEventError and Defect in ledger/rules.py.
    reasons Array(LowCardinality(String)),
    -- The message as it came, in base64, because it may be any bytes.
    payload_base64 String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(received_at)
-- A redelivered message has the same hash, so it is one row, however often it comes.
ORDER BY payload_sha256
TTL toDateTime(received_at) + INTERVAL 13 MONTH
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
