-- The provider's own id of an answer, and what it says about the software that made it.
ALTER TABLE usage.events
    ADD COLUMN IF NOT EXISTS response_id String CODEC(ZSTD(1)) AFTER response_model,
    ADD COLUMN IF NOT EXISTS system_fingerprint LowCardinality(String) AFTER response_id;
