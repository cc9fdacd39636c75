// What a run needs of the platform it runs on: time, rest, and the far end of the console.

export interface LabHost {
  /** CPU seconds that this process has used. */
  cpuSeconds(): number;
  /** Monotonic time in nanoseconds, a whole number. */
  nanos(): number;
  /** Lets the host's own events happen. */
  breathe(): Promise<void>;
  /** Rests for so long (Infinity: for ever), or until the console has input or the user wants to leave. */
  rest(nanos: number): Promise<void>;
  /** SHA-256 in hexadecimal, where the host has a quicker one than ours. */
  sha256Hex?(pieces: readonly Uint8Array[]): string;
}

/** A terminal, or whatever stands in for it. */
export interface LabConsole {
  /** Resolves when the host is ready for more. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was typed since it was last asked. */
  read(): Uint8Array;
  /** The user wants to leave. */
  quit(): boolean;
  /** What the user has asked of the guest since this was last called (lab/requests.ts). */
  requests?(): readonly string[];
}

/** Where a run stands, for a progress line. */
export interface Progress {
  readonly guestSeconds: number;
  readonly instructions: number;
  readonly lastLine: string;
  /** How often the CPU has asked the world around it, by kind. */
  readonly exits: Readonly<Record<string, number>>;
}
