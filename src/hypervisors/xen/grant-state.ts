// The plain state of a domain's grant table.

export interface GrantState {
  version: 1 | 2;
  /** RAM addresses of the table's frames, and of the status frames of version 2. */
  frames: number[];
  statusFrames: number[];
}

export const freshGrants = (): GrantState => ({ version: 1, frames: [], statusFrames: [] });
