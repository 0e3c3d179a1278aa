-- Milliseconds since the epoch.
SELECT date_part('epoch', clock_timestamp()) * 1000, topic_ahead FROM genesis_settings
