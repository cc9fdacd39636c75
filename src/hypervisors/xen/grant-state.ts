// The plain state of a domain's grant table.

/** A grant of its own that the domain has mapped; its handle is its place in the list. */
export interface GrantMap {
  ref: number;
  /** What the entry said when it was mapped first. */
  frame: number;
  /** GNTMAP_*: ways that are mapped still, and how. None of the ways: the handle is free. */
  flags: number;
}

export interface GrantState {
  version: 1 | 2;
  /** RAM addresses of the table's frames, and of the status frames of version 2. */
  frames: number[];
  statusFrames: number[];
  /** References that the host has mapped, the frames behind them, and how often. */
  pins: { ref: number; frame: number; count: number }[];
  maps: GrantMap[];
}

export const freshGrants = (): GrantState => ({
  version: 1,
  frames: [],
  statusFrames: [],
  pins: [],
  maps: [],
});
