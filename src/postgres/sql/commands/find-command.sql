SELECT FROM command_inbox WHERE id = $1
