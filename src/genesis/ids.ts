declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** UUIDv7 of a Genesis session; also the Kafka record key. */
export type SessionId = Branded<'SessionId'>;
/** UUIDv7 of a command; its row in command_inbox, and the correlation_id of what it caused. */
export type CommandId = Branded<'CommandId'>;
/** UUIDv7 of an event; what a consumer recognises a duplicate by. */
export type EventId = Branded<'EventId'>;
/** The `sub` of a token: 1–255 characters, opaque to us. */
export type UserId = Branded<'UserId'>;
