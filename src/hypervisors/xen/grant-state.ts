// The plain state of a domain's grant table.

/** A grant of its own that the domain has mapped; its handle is its place in the list. */
export interface GrantMap {
  ref: number;
  frame: number;
  /** GNTMAP_*: ways that are mapped still, and how. None of the ways: the handle is free. */
  flags: number;
}

/** What the mappings of one entry come to. */
export interface GrantUse {
  /** What the entry said when it was mapped first. */
  frame: number;
  /** How many there are, and how many of these are for writing. */
  maps: number;
  writes: number;
}

export interface GrantState {
  version: 1 | 2;
  /** RAM addresses of the table's frames, and of the status frames of version 2. */
  frames: number[];
  statusFrames: number[];
  /** References that the host has mapped, the frames behind them, and how often. */
  pins: { ref: number; frame: number; count: number }[];
  maps: GrantMap[];
  /** Handles that are free again: a guest may have so many that no call can look through them. */
  free: number[];
  /** By reference. */
  uses: GrantUse[];
}

export const freshGrants = (): GrantState => ({
  version: 1,
  frames: [],
  statusFrames: [],
  pins: [],
  maps: [],
  free: [],
  uses: [],
});
