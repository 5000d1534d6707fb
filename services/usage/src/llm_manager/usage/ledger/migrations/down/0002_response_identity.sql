-- Takes 0002_response_identity.sql back. Never run by the product; for a person who means it.
ALTER TABLE usage.events
    DROP COLUMN IF EXISTS system_fingerprint,
    DROP COLUMN IF EXISTS response_id;

ALTER TABLE default.llm_manager_migrations DELETE WHERE name = '0002_response_identity.sql' SETTINGS mutations_sync = 2;
