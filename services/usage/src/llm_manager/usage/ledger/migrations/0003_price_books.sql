-- Every price book that was ever published, so that an event can be compared with the one that it names, also when the
-- worker that priced it had not seen the newest.
CREATE TABLE IF NOT EXISTS usage.price_books
(
    version String,
    book String CODEC(ZSTD(3)),
    published_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY version;
