DELETE FROM relay_members WHERE id = $1
