-- Members that have expired never come back: nobody renews them.
DELETE FROM relay_members WHERE expires_at <= clock_timestamp()
