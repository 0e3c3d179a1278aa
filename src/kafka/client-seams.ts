import {
  findErrorBy,
  kGetApi,
  kListApis,
  ProtocolError,
  ResponseError,
  type API,
  type Base,
  type Callback,
  type Connection,
  type Writer,
} from '@platformatic/kafka';

/*
 * Where the client does otherwise than we need, and has no option for it. All of this replaces methods of one instance by names
 * that the client exports for its own subclasses.
 */

type Client = Pick<Base, typeof kGetApi | typeof kListApis>;
export type RequestApi = Client;
type AnyApi = API<unknown[], unknown>;

/**
 * Makes a partition without a leader the trouble of that partition alone: the client refuses the metadata of a whole topic, and
 * so every send and read, while one partition of it has no leader. It then has leader -1.
 */
export function tolerateLeaderless(client: Client): void {
  wrapApi(client, 'Metadata', (call, args, callback) => {
    call(args, (error, response) => {
      if (error !== null && isLeaderless(error)) callback(null, error.response);
      else callback(error, response);
    });
  });
}

function isLeaderless(error: Error): error is ResponseError & { readonly response: unknown } {
  return (
    error instanceof ResponseError &&
    error.errors.every((one: unknown) => {
      return one instanceof ProtocolError && one['apiId'] === 'LEADER_NOT_AVAILABLE' && isOfPartition(one['path']);
    })
  );
}

function isOfPartition(path: unknown): boolean {
  return typeof path === 'string' && path.includes('/partitions/');
}

/** Milliseconds after which the broker rolls an open transaction back by itself. The client takes its request timeout for it. */
export function setTransactionTimeout(client: Client, timeout: number): void {
  wrapApi(client, 'InitProducerId', (call, [transactionalId, _requestTimeout, ...rest], callback) => {
    call([transactionalId, timeout, ...rest], callback);
  });
}

/** Uses no later version of an API than this one. */
export function capApi(client: Client, name: string, version: number): void {
  const list = client[kListApis].bind(client);
  client[kListApis] = (callback) => {
    list((error, apis) => {
      callback(
        error,
        apis?.map((api) => (api.name === name ? { ...api, maxVersion: Math.min(version, api.maxVersion) } : api)),
      );
    });
  };
}

/** Either the body of the request, or what the client is to encode it from. */
export type Encoding = { readonly request: () => Writer } | { readonly args: readonly unknown[] };

/** Encodes the requests of an API otherwise than the client does, from the arguments that the client has for them. */
export function encodeRequests(
  client: Client,
  name: string,
  encode: (args: readonly unknown[], version: number) => Encoding,
): void {
  wrapApi(client, name, (call, args, callback, version) => {
    const encoding = encode(args, version);
    if ('args' in encoding) call(encoding.args, callback);
    else call(args, callback, encoding.request);
  });
}

/** With `request`, that is what is sent. */
type Call = (args: readonly unknown[], callback: Callback<unknown>, request?: () => Writer) => void;
type Wrapper = (call: Call, args: readonly unknown[], callback: Callback<unknown>, version: number) => void;

function wrapApi(client: Client, wrapped: string, wrapper: Wrapper): void {
  const find = client[kGetApi].bind(client) as (name: string, callback: Callback<AnyApi>) => void;
  const wrapOne = (api: AnyApi): AnyApi => {
    const one = ((connection: Connection, ...args: unknown[]) => {
      const callback = args.pop() as Callback<unknown>;
      const call: Call = (inner, answered, request) => {
        api(request === undefined ? connection : sending(connection, request), ...inner, answered);
      };
      wrapper(call, args, callback, api.version);
    }) as AnyApi;
    return Object.assign(one, { key: api.key, version: api.version, async: api.async });
  };
  client[kGetApi] = ((name: string, callback: Callback<AnyApi>) => {
    find(name, (error, api) => {
      callback(error, api === undefined || name !== wrapped ? api : wrapOne(api));
    });
  }) as Client[typeof kGetApi];
}

/** The connection for one request, which is another one than the API encodes: `send` is all that an API knows of a connection. */
function sending(connection: Connection, request: () => Writer): Connection {
  const send: Connection['send'] = (key, version, _request, ...rest) => connection.send(key, version, request, ...rest);
  return { send } as Connection;
}

/** Whether one of these is what the broker answered. */
export function says(error: unknown, ...ids: readonly string[]): boolean {
  return error instanceof Error && ids.some((id) => findErrorBy(error, 'apiId', id) !== null);
}

/** Asks with all metadata what the user may do with each topic: a bit for each operation, by its number in Kafka's protocol. */
export function askRights(client: Client, tell: (topic: string, operations: number) => void): void {
  wrapApi(client, 'Metadata', (call, [topics, create, _rights, ...rest], callback) => {
    call([topics, create, true, ...rest], (error, response) => {
      const found = (response as MetadataRights | undefined)?.topics ?? [];
      for (const { name, topicAuthorizedOperations: rights } of found) if (name !== null) tell(name, rights);
      callback(error, response);
    });
  });
}

interface MetadataRights {
  readonly topics: readonly { readonly name: string | null; readonly topicAuthorizedOperations: number }[];
}
