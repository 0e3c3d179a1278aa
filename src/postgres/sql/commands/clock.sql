SELECT clock_timestamp() AS now, topic_ahead FROM genesis_settings
