/**
 * Whatever runs has this life and no other. `bin` starts services in order and stops them in reverse.
 *
 * `start` resolves once the service can do its work, or rejects with an error that names what to mend; a service whose
 * `start` rejected has left nothing running. `stop` may be called at any time, more than once, and resolves when
 * everything the service began has ended.
 */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}
