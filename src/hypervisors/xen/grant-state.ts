// The plain state of a domain's grant table.

export interface GrantState {
  version: 1 | 2;
  /** RAM addresses of the table's frames, and of the status frames of version 2. */
  frames: number[];
  statusFrames: number[];
  /** References that the host has mapped, the frames behind them, and how often. */
  pins: { ref: number; frame: number; count: number }[];
}

export const freshGrants = (): GrantState => ({
  version: 1,
  frames: [],
  statusFrames: [],
  pins: [],
});
