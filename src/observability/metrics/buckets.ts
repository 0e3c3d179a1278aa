/** Seconds that something takes which a caller waits for. */
export const DURATIONS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Seconds that an event takes to the broker: milliseconds when all is well, minutes after an outage; 60 is the target's bound. */
export const LATENCIES: readonly number[] = [...DURATIONS, 30, 60, 300, 3_600];
/** Commands or events that share something. */
export const SIZES: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
